"""Answers one question from one snapshot of the database, and says what the answer rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

from schemas import tokens
from schemas.calendar import Calendar
from schemas.times import format_time
from schemas.topics import JOURNEYS
from services.metrics.answers import Answers
from services.metrics.domain.contact_formulas import Price
from services.metrics.monitoring import Monitoring
from services.metrics.store import checking, generations, sampling, standing, watermarks
from services.metrics.store.generations import Generation
from services.metrics.store.reading import Reading
from services.metrics.store.standing import Standing
from services.shared.bus import Bus
from services.shared.checked import Checked
from services.shared.clock import Clock
from services.shared.db import Database
from services.shared.errors import Unavailable
from services.shared.http import not_yet
from services.shared.waiting import Waiting


class Basis(NamedTuple):
    """What an answer rests on.

    `complete_to`: everything that journey had published by then is counted. It is the time at which the bus took the newest
    watermark applied, the least over all partitions of `journeys`; None until each partition has brought one. What was posted
    before but had not passed through journey by then is not promised: for that, send a receipt's token as X-Waypost-After.
    """

    complete_to: str | None
    generation: str


class Desk:
    """Opens snapshots for questions. Thread-safe."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        calendar: Calendar,
        waiting: Waiting,
        monitoring: Monitoring,
        clock: Clock,
        price: Price | None = None,
    ) -> None:
        self._bus, self._database, self._waiting, self._monitoring = bus, database, waiting, monitoring
        self._partitions: int | None = None
        self._hash = generations.generation_hash(calendar.time_zone, calendar.opening_hours)
        self.calendar, self.clock, self.price = calendar, clock, price

    @contextmanager
    def question(self, name: str) -> Iterator[tuple[Answers, Basis]]:
        """A snapshot to answer from.

        Raises Unavailable before the first start of a consumer, and once the rollups have been rebuilt with other settings than ours.
        """
        with self._monitoring.question_seconds.labels(name).time(), self._database.snapshot() as tx:
            now = standing.read(self._database, tx)
            live = self._checked(now.live)
            basis = Basis(self._complete_to(now), live.hash)
            yield Answers(Reading(self._database, tx, live.number), self.calendar), basis

    def wait_for(self, token: str, timeout_s: float) -> None:
        """Return when everything that a receipt's token stands for is counted.

        Raises Problem 504 if that takes longer than `timeout_s`, Rejected for a token that is none.
        """
        wanted = tokens.decode(token)
        if not self._waiting.until(lambda: self._has_passed(wanted), timeout_s):
            raise not_yet(token, timeout_s)

    def check(self) -> Iterator[Checked]:
        """Compare all rollups with the stored facts, and those with the topic, telling from time to time."""
        with self._database.snapshot(patient=True) as tx:  # it reads topics as well
            self._checked(generations.live(self._database, tx))
            found = Checked()
            for found in checking.steps(self._database, tx, self.calendar, self._bus):
                yield found
        self._monitoring.check.complete(found)

    def sample(self) -> Checked:
        """Look at a little of it, drawn by lot."""
        with self._database.snapshot() as tx:
            return sampling.sample(self._database, tx, self.calendar, self._bus, Random())

    def _checked(self, live: Generation | None) -> Generation:
        if live is None:
            raise Unavailable("metrics has not been started yet")
        if live.hash != self._hash:
            raise Unavailable(generations.REBUILT)
        return live

    def _has_passed(self, wanted: Mapping[tuple[str, int], int]) -> bool:
        with self._database.snapshot() as tx:
            passed = watermarks.read(self._database, tx)
        return all(
            partition in passed and tokens.is_passed(wanted, passed[partition].positions)
            for partition in range(self._partition_count())
        )

    def _complete_to(self, now: Standing) -> str | None:
        if now.at_ms is None or now.brought < self._partition_count():
            return None
        return format_time(now.at_ms * 1000)

    def _partition_count(self) -> int:
        if self._partitions is None:
            self._partitions = self._bus.describe(JOURNEYS).partitions
        return self._partitions
