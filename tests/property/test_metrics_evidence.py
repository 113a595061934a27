"""The evidence of a number adds up to the number: of every KPI, by all its dimensions, grains and filters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.calendar import day_number
from schemas.facts import Fact
from services.metrics import evidence as of_numbers
from services.metrics.answers import Answers, KpiQuestion
from services.metrics.domain.catalogue import KPIS
from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import Kpi, Side
from services.metrics.domain.measures import contributions, effect_times
from services.metrics.domain.periods import GRAINS, Span, start_of
from services.metrics.evidence import SIDES, EvidenceQuestion, evidence, question_of
from services.metrics.store.reading import Reading
from services.shared.errors import Rejected
from tests.property.test_metrics_rollups import CALENDAR, Store, Stream, _possible, facts, store, streams

__all__ = ["store"]
Row = dict[str, Any]


def pages(answers: Answers, asked: EvidenceQuestion, limit: int) -> tuple[int, list[Row]]:
    """The number, and the rows of all pages."""
    rows: list[Row] = []
    page = evidence(answers, asked, limit, None)
    while page.next_page is not None:
        rows += page.rows
        assert len(page.rows) <= limit
        page = evidence(answers, asked, limit, page.next_page)
    return page.total, [*rows, *page.rows]


@st.composite
def questions(draw: st.DrawFn, kpi: Kpi, as_of_us: int) -> KpiQuestion:
    grain = draw(st.sampled_from([grain for grain in GRAINS if grain in kpi.grains]))
    first, days = draw(st.sampled_from(["2025-12-29", "2026-02-01", "2026-02-20"])), draw(st.sampled_from([1, 30, 100]))
    start = start_of(day_number(first), grain)
    end = start_of(start + days, grain)
    if end == start:
        end = start_of(start + 370, grain)
    names = draw(st.sampled_from(kpi.dimension_sets))
    by = tuple(name for name in names if name in kpi.per or draw(st.booleans()))
    filters = {names[-1]: draw(st.sampled_from(["web", "shop", ""]))} if draw(st.integers(0, 3)) == 0 else {}
    return KpiQuestion(kpi, Span(start, min(end, start + 31) if grain == "hour" else end), grain, by, filters, as_of_us)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(stream=streams(), data=st.data())
def test_evidence_adds_up_to_each_number_of_every_kpi(store: Store, stream: Stream, data: st.DataObject) -> None:
    """Over all pages, row by row of the answer, and without doing more at a time than a page's share."""
    store.fill(stream.batches)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_numbers, "SCANNED", data.draw(st.sampled_from([1, 2, 2000])))
        with store.database.snapshot() as tx:
            answers = Answers(Reading(store.database, tx, 1), CALENDAR)
            for kpi in KPIS:
                question = data.draw(questions(kpi, stream.as_of))
                limit = data.draw(st.sampled_from([1, 3, 1000]))
                for side in SIDES:
                    if kpi.formula.terms(side, question.grain) is not None:
                        check(answers, question, side, limit)


def refused(ask: Callable[[], object]) -> str | None:
    """The code with which a question is refused."""
    try:
        ask()
    except Rejected as refusal:
        return refusal.code
    return None


def check(answers: Answers, question: KpiQuestion, side: Side, limit: int) -> None:
    asked = question_of(question, side)
    codes = refused(lambda: answers.kpi(question)), refused(lambda: evidence(answers, asked, limit, None))
    if any(codes):
        assert codes[0] == codes[1] or asked.question.kpi is not question.kpi
        return
    rows = answers.kpi(question)
    total, found = pages(answers, asked, limit)
    is_its_own = asked.question.kpi is question.kpi
    dims = ["period", *(name for name in question.kpi.cube.dims if rows and is_its_own and name in rows[0])]
    added: dict[tuple[object, ...], int] = defaultdict(int)
    for row in found:
        added[tuple(row.get(name) for name in dims)] += row["amount"]
    numbers = {tuple(row[name] for name in dims): int(str(row[side])) for row in rows}
    if rows:
        assert {key: amount for key, amount in added.items() if amount} == {key: one for key, one in numbers.items() if one}
        assert total == sum(numbers.values())
    if (
        not question.kpi.cube.foreseen
    ):  # told at the first instant of a period, made-up facts of one order in two months look the same
        assert len({repr({**row, "amount": 0}) for row in found}) == len(found), "each once"


def test_every_kpi_has_evidence() -> None:
    """KPIs whose number is no sum over facts are named here: what models of all paths come to."""
    without = {kpi.id for kpi in KPIS if not any(kpi.formula.terms(side, kpi.grains[0]) for side in SIDES)}
    assert without == {f"{of}_{model}" for of in ("attribution", "attributed_revenue") for model in ("markov", "shapley")}


@given(fact=facts.map(_possible))
def test_what_is_dated_takes_effect_on_its_date_too(fact: Fact) -> None:
    """Evidence finds facts by their moments: one has to lie on each day to which the fact contributes."""
    moments_of = {CALENDAR.day_of(at_us) for at_us in effect_times(fact)}
    for one in contributions(fact, True, CALENDAR):
        if BY_NAME[one.cube].cohort == "dated" and not (BY_NAME[one.cube].foreseen or BY_NAME[one.cube].reaches_back):
            assert one.cohort_day in moments_of, one
