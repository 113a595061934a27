"""Journey's and metrics' databases, fed with records directly: what their consumers do with a batch, without a bus between them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.workload import numbered, records
from schemas import vocabulary
from schemas.facts import WATERMARK_KEY, month_key
from schemas.topics import JOURNEYS
from services.journey.consumer import BATCH, derivation
from services.journey.domain.calendar import month_text
from services.journey.main import writer_of
from services.journey.relay import record
from services.journey.store.relaying import UnpublishedMonths
from services.journey.store.write import Incoming, NotLocked, prepare
from services.metrics.domain.calendar import Calendar
from services.metrics.store import generations, watermarks
from services.metrics.store.tables import METADATA
from services.metrics.store.taking import Taking
from services.shared.bus import Record
from services.shared.config import Settings
from services.shared.db import Database, postgres_url, sqlite_url

PARTITIONS = 12
PUBLISHED = 2000
"""Months that metrics takes in one transaction, as its consumer does."""
WORLD = 10_000
"""Touchpoints of one world; stores are filled with whole worlds, so that what comes next finds the same people in all of them."""


class Spent(NamedTuple):
    """Seconds that a batch took in each room."""

    journey_s: float
    metrics_s: float


class Stores:
    """Both rooms' databases: in a folder, as the embedded form has them, or in a PostgreSQL database with a schema for each room."""

    def __init__(self, where: Path | str) -> None:
        self.where = where
        self._journey, self._metrics = (_open(where, room) for room in ("journey", "metrics"))
        self._read = derivation(vocabulary.load(None))
        self._writer = writer_of(Settings(), self._journey, prepare(self._journey))
        self._unpublished = UnpublishedMonths(self._journey)
        self._metrics.create(METADATA)
        self._taking = Taking(self._metrics, Calendar("UTC"))
        with self._metrics.transaction() as tx:
            self._generation = generations.open_generation(self._metrics, tx, generations.generation_hash("UTC")).number
            watermarks.put(
                self._metrics, tx, [Record(JOURNEYS, n, 0, WATERMARK_KEY, b'{"watermark":{}}', 0) for n in range(PARTITIONS)]
            )

    def take(self, batch: Sequence[Record]) -> Spent:
        """Take one batch of records of `touchpoints` all the way; what lies between the rooms (the relay) is not counted."""
        start = time.perf_counter()
        self._stitch(batch)
        stitched = time.perf_counter()
        months = self._published()
        published = time.perf_counter()
        for first in range(0, len(months), PUBLISHED):
            with self._metrics.transaction() as tx:
                self._taking.take(tx, self._generation, months[first : first + PUBLISHED])
        return Spent(stitched - start, time.perf_counter() - published)

    def settle(self) -> None:
        """Let the database do now what it would do in the background: statistics, clean-up, a checkpoint."""
        for database in (self._journey, self._metrics):
            with database.engine.connect() as plain:
                connection = plain.execution_options(isolation_level="AUTOCOMMIT")
                if database.is_postgres:
                    connection.exec_driver_sql("VACUUM ANALYZE")
                    connection.exec_driver_sql("CHECKPOINT")

    def close(self) -> None:
        self._journey.close()
        self._metrics.close()

    def _stitch(self, batch: Sequence[Record]) -> None:
        also: frozenset[int] = frozenset()
        while True:
            try:
                with self._journey.transaction() as tx:
                    incoming = [Incoming(self._read(record.value or b""), record.value or b"") for record in batch]
                    self._writer.take(tx, incoming, also)
                return
            except NotLocked as more:
                also |= more.identities

    def _published(self) -> list[Record]:
        with self._journey.transaction() as tx:
            months = self._unpublished.read(tx, range(PARTITIONS), 10 * BATCH)
            self._unpublished.done(tx, months)
        keyed = [(month_key(month.person_id, month_text(month.month)), record(month)) for month in months]
        return numbered(keyed, JOURNEYS, PARTITIONS)


def fill(stores: Stores, touchpoints: int) -> None:
    """Store about so many touchpoints: whole years of people, world after world."""
    for world in range(1, max(touchpoints // WORLD, 1) + 1):
        stores.take(records(min(WORLD, touchpoints), PARTITIONS, seed=world, world=f"w{world}"))
    stores.settle()


def _open(where: Path | str, room: str) -> Database:
    if isinstance(where, Path):
        return Database(sqlite_url(where / f"{room}.db"))
    return Database(postgres_url(where), schema=room)
