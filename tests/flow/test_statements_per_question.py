"""Questions ask the database little: its answers take longer to come and go than to be worked out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import event

from schemas.calendar import Calendar
from schemas.times import parse_time_us
from services.metrics.answers import Answers, KpiQuestion
from services.metrics.domain.catalogue import KPIS
from services.metrics.domain.kpis import Kpi
from services.metrics.domain.periods import Grain, parse_span
from services.metrics.migrations import HISTORY
from services.metrics.store.reading import Reading
from services.shared.db import Database, sqlite_url
from services.shared.migrating import migrate

FEW = 4
"""Sums, changes of them or histograms, what comes later today; one more for each further KPI that is counted beside."""
MODELS = 6
YEARS = ("2025-01-01", "2027-01-01")
WEEK = ("2026-10-26", "2026-11-02")
RANGES: Mapping[Grain, tuple[str, str]] = {"none": ("2025-11-20", "2026-11-15"), "hour": WEEK, "day": WEEK, "week": WEEK}
AS_OF = parse_time_us("2026-10-31T12:34:56Z")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("statements")
    database = Database(sqlite_url(folder / "metrics.db"))
    migrate(database, HISTORY)
    yield database
    database.close()


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.id)
def test_a_question_takes_few_statements(database: Database, kpi: Kpi) -> None:
    asked = list[str]()
    with database.snapshot() as tx:
        event.listen(tx, "before_cursor_execute", lambda *given: asked.append(given[2]))
        for grain in kpi.grains:
            span = parse_span(*RANGES.get(grain, YEARS), grain)
            activity = {"activity": "order"} if "activity" in kpi.dimensions else {}
            asked.clear()
            Answers(Reading(database, tx, 1), Calendar("UTC")).kpi(KpiQuestion(kpi, span, grain, kpi.per, activity, AS_OF))
            beside = (kpi.beside is not None) + (kpi.seen is not None)
            assert len(asked) <= (MODELS if kpi.exploratory else FEW + beside), (grain, asked)
