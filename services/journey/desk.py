"""What journey's API asks of: the database, the rules of the fold, the way to wait for a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import nan
from typing import NamedTuple
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
from services.journey.store.shadow import leftover
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


class Told(NamedTuple):
    """An erasure here, what other rooms say they removed for it, and when the last of all did; where a second set of tables lies."""

    receipt: Receipt
    rooms: dict[str, dict[str, int]]
    last_us: int
    rebuild: str | None


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

    def erasure(self, id: str) -> Told | None:
        """What became of an erasure; None if no such erasure was carried out."""
        receipts = Receipts(self._database)
        with self._database.snapshot() as tx:
            if (receipt := receipts.read(tx, id)) is None:
                return None
            last_us = max(receipt.applied_us, receipts.done_us(tx, id))
            return Told(receipt, receipts.done(tx, id), last_us, leftover(self._database, tx))

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
