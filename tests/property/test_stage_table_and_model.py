"""From touchpoints to the stage table: fold, facts, rollups and answers give what the plain model counts, at any instant."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.calendar import Calendar, day_number
from schemas.times import DAY_US, parse_time_us
from services.metrics.answers import Answers, CohortQuestion
from services.metrics.domain.periods import Span
from services.metrics.migrations import HISTORY
from services.metrics.store import generations
from services.metrics.store.reading import Reading
from services.metrics.store.taking import Taking
from services.shared.bus import Record
from services.shared.db import Database, sqlite_url
from services.shared.migrating import migrate
from tests.model import Touchpoint, order_of
from tests.model.stagetable import StageTable, stage_table
from tests.property.folded import derived, published
from tests.property.test_model_journeys import histories

TICK_US = 6 * 3600 * 1_000_000
"""The unit of time in histories; a journey's timeout is 40 of them."""
TIMEOUT_US = 10 * DAY_US
START_US = parse_time_us("2026-01-20T00:00:00Z")
CALENDAR = Calendar("UTC")


def placed_in_time(history: list[Touchpoint]) -> list[Touchpoint]:
    """The same history over some weeks, with moments that are not whole hours."""
    return [touchpoint | {"time_us": START_US + touchpoint["time_us"] * TICK_US + 1234} for touchpoint in history]


def records_of(person: UUID, history: list[Touchpoint]) -> list[Record]:
    return published(person, map(derived, sorted(history, key=order_of)), TIMEOUT_US)


def answered(file: Path, people: list[list[Touchpoint]], question: CohortQuestion) -> tuple[int, list[dict[str, object]]]:
    file.unlink(missing_ok=True)
    with closing(Database(sqlite_url(file), durable=False)) as database:
        migrate(database, HISTORY)
        with database.transaction() as tx:
            generation = generations.open_generation(database, tx, generations.generation_hash("UTC"))
            records = [record for number, history in enumerate(people) for record in records_of(UUID(int=number), history)]
            Taking(database, CALENDAR).take(tx, generation.number, records)
        with database.snapshot() as tx:
            return Answers(Reading(database, tx, generation.number), CALENDAR).stages(question)


def expected(table: StageTable) -> tuple[int, list[dict[str, object]]]:
    return table.journeys, [
        {
            "stage": row.stage,
            "touchpoints": row.touchpoints,
            "touched": row.touched,
            "reached": row.reached,
            "conversion": None if row.conversion is None else pytest.approx(float(row.conversion)),
            "dropped": row.dropped,
            "in_stage_now": row.in_stage_now,
            "skipped": row.skipped,
            "n": len(row.times_ms),
            "mean_s": pytest.approx(sum(row.times_ms) / len(row.times_ms) / 1000) if row.times_ms else None,
        }
        for row in table.stages
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    people=st.lists(histories().map(placed_in_time), min_size=1, max_size=4),
    first=st.integers(0, 12),
    length=st.integers(1, 20),
    as_of=st.integers(0, 30 * 86_400).map(lambda second: START_US + second * 1_000_000 + 1234),
    which=st.sampled_from(["new", "returning", "all"]),
    unit=st.sampled_from(["journey", "person"]),
)
def test_the_stage_table_is_what_the_model_counts(
    tmp_path: Path, people: list[list[Touchpoint]], first: int, length: int, as_of: int, which: str, unit: str
) -> None:
    start = day_number("2026-01-20") + first
    question = CohortQuestion(Span(start, start + length), (), which, unit, as_of)  # type: ignore[arg-type]
    journeys, rows = answered(tmp_path / "metrics.db", people, question)
    found = [
        {name: row[name] for name in row if name != "time_in_stage"}
        | {"n": row["time_in_stage"]["n"], "mean_s": row["time_in_stage"]["mean_s"]}  # type: ignore[index]
        for row in rows
    ]
    of_these = which if unit == "journey" else "all"  # a person's whole history is neither new nor returning
    table = stage_table(people, start * DAY_US, (start + length) * DAY_US, as_of, of_these, unit, TIMEOUT_US)
    assert (journeys, found) == expected(table)
