"""Ingest's core, journey and metrics as they are, without the buses between them: touchpoints in, answers of KPIs out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from schemas.calendar import Calendar, day_number, month_text
from schemas.facts import month_key
from schemas.normal import Identities
from schemas.topics import JOURNEYS
from services.ingest.domain.accept import Arrival, accept
from services.journey.store.relaying import UnpublishedMonths, record
from services.metrics.answers import Answers, KpiQuestion
from services.metrics.domain.kpis import Kpi
from services.metrics.domain.periods import Grain, Span
from services.metrics.migrations import HISTORY
from services.metrics.store import generations
from services.metrics.store.reading import Reading
from services.metrics.store.tables import METADATA
from services.metrics.store.taking import Taking
from services.shared.bus import Record, partition_of
from services.shared.db import Database, sqlite_url
from services.shared.migrating import migrate
from tests.property import journey_store

PARTITIONS = 3
NO_QUERY: Mapping[str, str] = {}
Row = dict[str, Any]


def accepted(items: Iterable[Mapping[str, Any]], source: str = "shop", received_us: int = 4 * 10**15) -> list[bytes]:
    """What ingest publishes of these touchpoints. Ids are numbers unless given."""
    raw = [json.dumps(item).encode() for item in items]
    batch = accept(raw, Arrival(source, source, received_us, lambda index: f"{index:03}"), Identities())
    assert not batch.rejected, batch.results
    return [one.value for one in batch.touchpoints]


@contextmanager
def rooms_in(folder: Path) -> Iterator[Rooms]:
    """Rooms with their databases in a folder."""
    with ExitStack() as stack:
        databases = [Database(sqlite_url(folder / name), durable=False) for name in ("journey", "metrics")]
        for database in databases:
            stack.callback(database.close)
        yield Rooms(*databases)


class Rooms:
    """Journey and metrics, each with a database of its own, in the time zone UTC."""

    def __init__(self, journey: Database, metrics: Database) -> None:
        self._journey, self._metrics = journey_store.Store(journey), metrics
        self._offset = 0
        migrate(metrics, HISTORY)
        self.clear()

    def clear(self, opening_hours: str = "") -> None:
        """As if nothing had ever come."""
        self.calendar = Calendar("UTC", opening_hours)
        self._journey.clear()
        with self._metrics.transaction() as tx:
            for table in METADATA.tables:
                self._metrics.execute(tx, f"DELETE FROM {table}")
            made_by = generations.generation_hash("UTC", opening_hours)
            self._generation = generations.open_generation(self._metrics, tx, made_by).number

    def take(self, *batches: Sequence[journey_store.Record]) -> None:
        """Touchpoints as ingest publishes them, and commands; what each batch changes goes on to metrics."""
        taking = Taking(self._metrics, self.calendar)
        for batch in batches:
            self._journey.take([batch])
            records = self._published()
            with self._metrics.transaction() as tx:
                taking.take(tx, self._generation, records)

    def ask(
        self, kpi: Kpi, days: tuple[str, str], as_of_us: int, grain: Grain = "none", query: Mapping[str, str] = NO_QUERY
    ) -> list[Row]:
        """The rows of an answer, from one day up to, not including, another. `query`: `by`, and dimensions as filters."""
        by = tuple(name for name in query.get("by", "").split(",") if name)
        filters = {name: value for name, value in query.items() if name != "by"}
        question = KpiQuestion(kpi, Span(*map(day_number, days)), grain, by, filters, as_of_us)
        with self._metrics.snapshot() as tx:
            return Answers(Reading(self._metrics, tx, self._generation), self.calendar).kpi(question)

    def _published(self) -> list[Record]:
        database, months = self._journey.database, UnpublishedMonths(self._journey.database)
        with database.transaction() as tx:
            work = months.read(tx, range(journey_store.PARTITIONS), 10_000)
            months.done(tx, work)
        self._offset += 1
        keys = [month_key(one.person_id, month_text(one.month)) for one in work]
        return [
            Record(JOURNEYS, partition_of(key, PARTITIONS), self._offset, key, record(one), 0)
            for key, one in zip(keys, work, strict=True)
        ]
