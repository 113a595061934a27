"""Journey's and metrics' databases, fed with records directly: what their consumers do with a batch, without a bus between them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.workload import numbered, records
from schemas import vocabulary
from schemas.calendar import Calendar, month_text
from schemas.facts import WATERMARK_KEY, month_key
from schemas.topics import JOURNEYS
from services.journey.consumer import derivation
from services.journey.main import fold_rules, writer_of
from services.journey.store.ownership import Lockable
from services.journey.store.relaying import UnpublishedMonths, record
from services.journey.store.write import Incoming, NotLocked, prepare
from services.metrics.migrations import HISTORY
from services.metrics.store import generations, watermarks
from services.metrics.store.taking import Taking
from services.shared.bus import Record
from services.shared.config import Settings
from services.shared.db import Database, postgres_url, sqlite_url
from services.shared.migrating import migrate

PARTITIONS = 12
WORLD = 10_000
"""Touchpoints of one world, and of one of journey's transactions while stores are filled."""
TOGETHER = 10
"""Worlds in one of metrics' transactions while stores are filled: the more, the fewer rollup rows are written twice."""
MONTHS = 100_000
_NOTHING_YET = [Record(JOURNEYS, number, 0, WATERMARK_KEY, b'{"watermark":{}}', 0) for number in range(PARTITIONS)]


class Spent(NamedTuple):
    """Seconds that a batch took in each room, and how many months of people it changed."""

    journey_s: float
    metrics_s: float
    months: int


class Stores:
    """Both rooms' databases: in a folder, as the embedded form has them, or in a PostgreSQL database with a schema for each room."""

    def __init__(self, where: Path | str) -> None:
        self.where = where
        self.journey, self.metrics = (open_room(where, room) for room in ("journey", "metrics"))
        self._read = derivation(vocabulary.load(None))
        self._writer = writer_of(Settings(), self.journey, prepare(self.journey), fold_rules(Settings()), self._read)
        self._unpublished = UnpublishedMonths(self.journey)
        migrate(self.metrics, HISTORY)
        self._taking = Taking(self.metrics, Calendar("UTC"))
        with self.metrics.transaction() as tx:
            live = generations.open_generation(self.metrics, tx, generations.generation_hash("UTC"))
            watermarks.put(self.metrics, tx, _NOTHING_YET)
        self._generation = live.number

    def take(self, batch: Sequence[Record]) -> Spent:
        """Take records of `touchpoints` all the way; what lies between the rooms (the relay) is not counted."""
        start = time.perf_counter()
        self.stitch(batch)
        stitched = time.perf_counter()
        months = self.published()
        published = time.perf_counter()
        self.count(months)
        return Spent(stitched - start, time.perf_counter() - published, len(months))

    def stitch(self, batch: Sequence[Record]) -> None:
        """Take records of `touchpoints` into journey, in one transaction."""
        also: frozenset[Lockable] = frozenset()
        while True:
            try:
                with self.journey.transaction() as tx:
                    incoming = [Incoming(self._read(record.value or b""), record.value or b"") for record in batch]
                    self._writer.take(tx, incoming, also)
                return
            except NotLocked as more:
                also |= more.identities

    def published(self) -> list[Record]:
        """What the relay would publish now, as records of `journeys`."""
        with self.journey.transaction() as tx:
            months = self._unpublished.read(tx, range(PARTITIONS), MONTHS)
            self._unpublished.done(tx, months)
        keyed = [(month_key(month.person_id, month_text(month.month)), record(month)) for month in months]
        return numbered(keyed, JOURNEYS, PARTITIONS)

    def count(self, months: Sequence[Record]) -> None:
        """Take records of `journeys` into metrics, in one transaction."""
        with self.metrics.transaction() as tx:
            self._taking.take(tx, self._generation, months)

    def settle(self) -> None:
        """Let PostgreSQL do now what it would do in the background some time: statistics, clean-up, a checkpoint."""
        for database in (self.journey, self.metrics):
            if database.is_postgres:
                with database.engine.connect() as plain:
                    connection = plain.execution_options(isolation_level="AUTOCOMMIT")
                    connection.exec_driver_sql("VACUUM ANALYZE")
                    connection.exec_driver_sql("CHECKPOINT")

    def close(self) -> None:
        self.journey.close()
        self.metrics.close()


def fill(stores: Stores, touchpoints: int) -> None:
    """Store about so many touchpoints: whole years of people, world after world."""
    for world in range(1, max(touchpoints // WORLD, 1) + 1):
        stores.stitch(records(min(WORLD, touchpoints), PARTITIONS, seed=world, world=f"w{world}"))
        if world % TOGETHER == 0:
            stores.count(stores.published())
    stores.count(stores.published())
    stores.settle()


def open_room(where: Path | str, room: str) -> Database:
    """The database of a room, in a folder or in a PostgreSQL database."""
    if isinstance(where, Path):
        return Database(sqlite_url(where / f"{room}.db"))
    return Database(postgres_url(where), schema=room)
