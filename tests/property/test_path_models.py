"""Markov removal effects and Shapley values from counts that add up are those of the list of all paths."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar import day_number
from schemas.facts import OrderFact, PathFact, PersonMonth
from services.metrics.answers import Answers, KpiQuestion
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.domain.path_models import Paths, removal_effects, shapley
from services.metrics.domain.periods import Span
from services.metrics.store.reading import Reading
from tests.model import credit
from tests.model.credit import Path
from tests.property.test_metrics_rollups import CALENDAR, Store, instants, orders, paths, slow, spans, store

__all__ = ["store"]

routes = st.lists(st.sampled_from("abcd"), min_size=1, max_size=5).map(tuple)
path_lists = st.lists(st.builds(Path, routes, st.booleans(), st.integers(1, 100)), min_size=1, max_size=12)


def steps_of(paths: Sequence[Path]) -> dict[Any, Paths]:
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for path in paths:
        for step in pairwise([None, *(name for name, _ in groupby(path.channels)), None]):
            counts[step][not path.converted] += 1
    return {step: Paths(*count) for step, count in counts.items()}


def test_the_removal_effect_of_a_worked_example() -> None:
    """Ads alone twice, mail alone once, ads then mail once, ads lost once: 0.8 convert; without ads 0.2, without mail 0.4."""
    ways = [(("ads",), True), (("ads",), True), (("mail",), True), (("ads", "mail"), True), (("ads",), False)]
    found = removal_effects(steps_of([Path(channels, converted) for channels, converted in ways]))
    assert found == pytest.approx({"ads": 0.75, "mail": 0.5})


@settings(max_examples=60, deadline=None)
@given(paths=path_lists.filter(lambda paths: any(path.converted for path in paths)))
def test_removal_effects_are_what_following_the_chain_gives(paths: list[Path]) -> None:
    assert removal_effects(steps_of(paths)) == pytest.approx(credit.removal_effects(paths), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(paths=path_lists)
def test_shapley_credits_are_those_of_every_path_by_itself(paths: list[Path]) -> None:
    sets = {key: Paths(*(sum(path.converted is is_order for path in paths if key_of(path) == key) for is_order in (True, False)))
            for key in map(key_of, paths)}  # fmt: skip
    totals = Counter({key_of(path): 0 for path in paths})
    for path in paths:
        totals[key_of(path)] += path.converted * 1_000_000
    credits = shapley(sets, {key: (total,) for key, total in totals.items()})
    found = {name: value for name, (value,) in credits.items() if value}
    expected = {name: 1_000_000 * count for name, (count, _) in credit.credited(paths, "shapley").items()}
    assert found == pytest.approx({name: value for name, value in expected.items() if value}, abs=len(paths))


def key_of(path: Path) -> tuple[str, ...]:
    return tuple(sorted(set(path.channels)))


def as_of(newest: list[PersonMonth], now_us: int, span: Span, stage: str | None, of: str) -> list[Path]:
    """The paths of the newest facts: of orders that stand, and of those that nothing has followed."""
    found = []
    for month in newest:
        for fact in month.facts:
            if not isinstance(fact, OrderFact | PathFact) or fact.at_us > now_us or stage not in (None, fact.stage):
                continue
            if not span.start <= CALENDAR.day_of(fact.at_us) < span.end:
                continue
            if isinstance(fact, PathFact):
                if fact.ended_us is None or fact.ended_us > now_us:
                    labels = fact.channels if of == "marketing_channel" else fact.campaigns
                    found.append(Path(tuple(labels), False))
            elif fact.cancelled_us is None or fact.cancelled_us > now_us:
                labels = [touch.marketing_channel if of == "marketing_channel" else touch.campaign or "" for touch in fact.path]
                found.append(Path(tuple(labels), True))
    return found


months = st.builds(
    PersonMonth,
    person_id=st.sampled_from(["ann", "bob"]),
    month=st.just("2026-01"),
    version=st.just(1),
    facts=st.lists(orders() | paths(), min_size=1, max_size=6).map(
        lambda found: list({fact.key: fact for fact in found}.values())
    ),
)
people = st.lists(months, min_size=1, max_size=2, unique_by=lambda month: month.person_id)


@settings(slow, max_examples=30)
@given(
    newest=people,
    now_us=instants,
    ends=spans,
    model=st.sampled_from(["markov", "shapley"]),
    of=st.sampled_from(["marketing_channel", "campaign"]),
    stage=st.sampled_from([None, "purchase", "loyalty"]),
)
def test_models_are_computed_from_what_is_so_now(
    store: Store, newest: list[PersonMonth], now_us: int, ends: tuple[date, date], model: str, of: str, stage: str | None
) -> None:
    store.fill([newest])
    span = Span(*(day_number(end.isoformat()) for end in ends))
    filters = {} if stage is None else {"stage": stage}
    with store.database.snapshot() as tx:
        question = KpiQuestion(KPI_BY_ID[f"attribution_{model}"], span, "none", (of,), filters, now_us)
        rows = Answers(Reading(store.database, tx, 1), CALENDAR).kpi(question)
    expected: dict[str | None, float] = defaultdict(float)
    for name, (count, _) in credit.credited(as_of(newest, now_us, span, stage, of), model).items():
        expected[name or None] += count
    found = {row[of]: row["value"] for row in rows}
    assert {name: found.get(name, 0) for name in found.keys() | expected} == pytest.approx(
        expected | dict.fromkeys(found.keys() - expected, 0), abs=1e-5
    )
