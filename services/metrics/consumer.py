"""Consumes `journeys`: each batch of records changes facts, rollups and watermarks in one transaction with the position."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from schemas.calendar import Calendar
from schemas.commands import Done
from schemas.facts import WATERMARK_KEY
from schemas.times import format_time
from schemas.topics import JOURNEYS, METRICS
from services.metrics.monitoring import Monitoring
from services.metrics.store import generations, watermarks
from services.metrics.store.taking import Erased, Taking
from services.shared.bus import Bus, Record
from services.shared.clock import Clock
from services.shared.consume import ConsumeLoop
from services.shared.db import Database
from services.shared.done import Saying
from services.shared.errors import Rejected
from services.shared.log import Log
from services.shared.positions import Positions
from services.shared.rejects import Rejects
from services.shared.waiting import Waiting

GROUP = METRICS


class Consumer:
    """The consuming half of the room: a loop on a thread of its own from `start` to `stop`."""

    def __init__(
        self, bus: Bus, database: Database, calendar: Calendar, monitoring: Monitoring, waiting: Waiting, clock: Clock, log: Log
    ) -> None:
        self._database, self._monitoring, self._clock = database, monitoring, clock
        self._taking = Taking(database, calendar)
        self._hash = generations.generation_hash(calendar.time_zone, calendar.opening_hours)
        self._rejects, self._saying = Rejects(bus, GROUP, clock), Saying(bus)
        positions = Positions(database, generations.MEND)
        self._loop = ConsumeLoop(bus, database, positions, GROUP, [JOURNEYS], self.apply, self._reject, self._committed, log)
        self._waiting, self._is_to_sweep = waiting, False
        monitoring.watch_lag(self.lag)
        monitoring.watch_stopped(lambda: len(self._loop.stopped))

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()
        self._rejects.close()
        self._saying.close()

    def well(self) -> None:
        """See `ConsumeLoop.well`."""
        self._loop.well()

    def lag(self) -> Mapping[int, int]:
        """Records not taken yet, of each partition that this process holds."""
        return self._loop.lag([JOURNEYS])

    def apply(self, tx: Connection, records: Sequence[Record]) -> None:
        """Take a batch, in the loop's transaction."""
        started_s = time.perf_counter()
        generation = generations.held_generation(self._database, tx, self._hash)
        months = [record for record in records if record.key != WATERMARK_KEY]
        erased = self._taking.take(tx, generation.number, months)
        watermarks.put(self._database, tx, [record for record in records if record.key == WATERMARK_KEY])
        self._is_to_sweep |= bool(erased)
        self._saying.say([self._done(one) for one in erased])
        self._monitoring.records.inc(len(records))
        self._monitoring.batch_seconds.observe(time.perf_counter() - started_s)
        oldest_ms = min(record.timestamp_ms for record in records)
        self._monitoring.freshness_seconds.observe(max(0.0, self._clock() / 1e6 - oldest_ms / 1e3))

    def _committed(self) -> None:
        self._waiting.notify()
        if self._is_to_sweep:
            self._is_to_sweep = False
            self._database.sweep()

    def _done(self, erased: Erased) -> Done:
        part = f"{JOURNEYS}/{erased.partition}/{erased.offset}"
        removed = {"months": 1, "facts": erased.facts}
        return Done(command=erased.erasure, room="metrics", at=format_time(self._clock()), removed=removed, part=part)

    def _reject(self, record: Record, error: Rejected) -> None:
        self._rejects.keep(record, error)
        self._monitoring.rejected.labels(error.code).inc()
