"""What journey's API asks of: the database, the rules of the fold, the way to wait for a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import nan
from uuid import uuid4

from sqlalchemy import Connection

from schemas import tokens
from schemas.normal import Identities
from services.journey.domain.fold import FoldRules
from services.journey.monitoring import Monitoring
from services.journey.questions import Questions
from services.journey.store.aside import REASONS, Aside, Reason
from services.journey.store.checking import Checking
from services.journey.store.receipts import Receipt, Receipts
from services.journey.store.refolding import Derive
from services.shared.bus import Bus
from services.shared.checked import Checked, finished
from services.shared.clock import Clock
from services.shared.config import Settings
from services.shared.db import Database
from services.shared.errors import Unavailable
from services.shared.http import not_yet
from services.shared.waiting import Waiting

SAMPLED = 3
"""People in one sample of the check that goes on in the background."""


class Desk:
    """Opens snapshots for questions. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        rules: FoldRules,
        read: Derive,
        positions: Callable[[Connection], Mapping[tuple[str, int], int]],
        waiting: Waiting,
        monitoring: Monitoring,
        clock: Clock,
        bus: Bus,
    ) -> None:
        self._bus = bus
        self._settings, self._database, self._rules, self._read = settings, database, rules, read
        self._positions, self._waiting, self._monitoring = positions, waiting, monitoring
        self.clock = clock
        self.normal = Identities(settings.phone_region, settings.nobody)
        for reason in REASONS:
            monitoring.watch_set_aside(reason, partial(self._set_aside, reason))

    @contextmanager
    def question(self) -> Iterator[Questions]:
        """A snapshot to answer from."""
        with self._database.snapshot() as tx:
            yield Questions(self._settings, self._database, tx, self._rules, self._read, self.clock())

    def check(self, sample: int | None) -> Iterator[Checked]:
        """Recompute so many people from their stored touchpoints and compare, telling of it from time to time.

        None: everybody, and every table, and the topics with them.
        """
        with self._database.snapshot(patient=True) as tx:  # it reads topics as well
            found = Checked()
            for found in Checking(self._settings, self._database, tx, self._rules, self._read).steps(sample, self._bus):
                yield found
        if sample is None:
            self._monitoring.check.complete(found)
        else:
            self._monitoring.check.sampled(found)

    def sample(self) -> Checked:
        """Recompute a few people, drawn by lot: their ids are hashes, and so is where to begin among them."""
        with self._database.snapshot() as tx:
            return finished(
                Checking(self._settings, self._database, tx, self._rules, self._read).steps(SAMPLED, after=str(uuid4()))
            )

    def erasure(self, id: str) -> tuple[Receipt | None, dict[str, dict[str, int]]]:
        """What became of an erasure here, and what other rooms say of it."""
        receipts = Receipts(self._database)
        with self._database.snapshot() as tx:
            return receipts.read(tx, id), receipts.done(tx, id)

    def wait_for(self, token: str, timeout_s: float) -> None:
        """Return when everything that a receipt's token stands for is stitched.

        Raises Problem 504 if that takes longer than `timeout_s`, Rejected for a token that is none.
        """
        if not self.is_passed(token, timeout_s):
            raise not_yet(token, timeout_s)

    def is_passed(self, token: str, timeout_s: float) -> bool:
        """Whether that was so in time. Blocks the calling thread."""
        wanted = tokens.decode(token)

        def passed() -> bool:
            with self._database.snapshot() as tx:
                return tokens.is_passed(wanted, self._positions(tx))

        return self._waiting.until(passed, timeout_s)

    def _set_aside(self, reason: Reason) -> float:
        try:
            with self._database.snapshot() as tx:
                return Aside(self._database, tx).counts()[reason]
        except Unavailable:
            return nan
