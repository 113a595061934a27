"""What journey's API asks of: the database, the rules of the fold, the way to wait for a receipt."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from schemas import tokens
from services.journey.domain.derive import Derived
from services.journey.domain.fold import FoldRules
from services.journey.monitoring import Monitoring
from services.shared.clock import Clock
from services.shared.config import Settings
from services.shared.db import Database
from services.shared.waiting import Waiting


class Desk:
    """Everything that a question needs; thread-safe."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        rules: FoldRules,
        read: Callable[[bytes], Derived],
        positions: Callable[[Connection], Mapping[tuple[str, int], int]],
        waiting: Waiting,
        monitoring: Monitoring,
        clock: Clock,
    ) -> None:
        self.settings, self.database, self.rules, self.read = settings, database, rules, read
        self.monitoring, self.clock = monitoring, clock
        self._positions, self._waiting = positions, waiting

    def wait(self, token: str, timeout_s: float) -> bool:
        """Whether everything that a token stands for was stitched in time. Raises Rejected("invalid_token")."""
        wanted = tokens.decode(token)

        def passed() -> bool:
            with self.database.snapshot() as tx:
                return tokens.is_passed(wanted, self._positions(tx))

        return self._waiting.until(passed, timeout_s)
