"""Worked examples of the KPIs of people who come again: a few orders, and the numbers that anyone can work out by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from schemas.calendar import Calendar, day_number
from schemas.facts import Amount, Day, Fact, Item, OrderFact, Place
from schemas.times import HOUR_US, parse_time_us
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.domain.kpis import Answer
from services.metrics.domain.measures import contributions
from services.metrics.domain.periods import Grain

CALENDAR = Calendar()
LONG_AFTER_US = parse_time_us("2027-06-01T00:00:00Z")


def noon(day: str) -> int:
    return parse_time_us(f"{day}T12:00:00Z")


def answer(kpi_id: str, facts: Iterable[Fact], period: str, grain: Grain, as_of_us: int = LONG_AFTER_US, **dims: str) -> Answer:
    """A KPI of the period that begins on a day."""
    kpi = KPI_BY_ID[kpi_id]
    cube, sums = kpi.cube_for(grain), defaultdict[str, int](int)
    for fact in facts:
        for one in contributions(fact, True, CALENDAR):
            if one.cube == cube.name and one.at_us <= as_of_us and one.cohort_day == day_number(period):
                named = dict(zip(cube.dims, one.dims, strict=True))
                if all(named[name] == value for name, value in {**kpi.fixed, **dims}.items()):
                    sums[one.measure] += one.times * one.value
    return kpi.formula.answer(sums, grain, {})


def orders(*days: str, **fields: Any) -> list[OrderFact]:
    """One person's orders, at noon of these days in their order; `fields` are of all."""
    found: list[OrderFact] = []
    for i, day in enumerate(days):
        earlier = [noon(one) for one in days[:i]]
        previous: list[int | None] = [*earlier[-1:]] or [None]
        second: list[int | None] = [*earlier[-2:-1]] or [None]
        before = [one for one in earlier if previous[0] is not None and one // (24 * HOUR_US) < previous[0] // (24 * HOUR_US)]
        place = Place(noon(day), noon(days[0]), None, previous[0], second[0], before[-1] if before else None)
        given: dict[str, Any] = {"system": "shop", "stage": "purchase", "channel": "web", "source": "shop", "places": [place]}
        amounts = [Amount(noon(day), 20_000_000, "EUR")]
        found.append(OrderFact(order_id=str(i), at_us=noon(day), amounts=amounts, **{**given, **fields}))
    return found


def active(*days: str) -> list[Day]:
    """One person who did something at noon of these days."""
    return [
        Day(
            day=day,
            at_us=noon(day),
            active=True,
            previous_active=previous,
            items=[Item(noon(day), "page_viewed", "web", "shop", "customer", None, -1, None)],
        )
        for previous, day in zip([None, *days], days, strict=False)
    ]


PEOPLE = [
    *orders("2026-03-02", "2026-03-20"),
    *orders("2026-03-05", "2026-03-05"),
    *orders("2026-02-10", "2026-03-31"),
    *orders("2026-03-31", "2026-04-01"),
]
"""In March: one who orders on two days, one twice on one day, and two once."""


def test_repeating_is_ordering_on_two_days() -> None:
    assert answer("buyers", PEOPLE, "2026-03-01", "month").value == 4
    rate = answer("repeat_rate", PEOPLE, "2026-03-01", "month")
    assert (rate.value, rate.numerator, rate.denominator) == (25.0, 1, 4)
    assert answer("repeat_rate", PEOPLE, "2026-01-01", "year").value == 75.0
    assert answer("repeat_rate", PEOPLE, "2026-01-01", "year", noon("2026-03-31")).value == 50.0


def test_repeating_by_orders_counts_those_of_one_day() -> None:
    assert answer("repeat_rate_by_orders", PEOPLE, "2026-03-01", "month").value == 50.0
    assert answer("repeat_rate_by_orders", PEOPLE, "2026-03-05", "day").value == 100.0


def test_a_cancelled_order_leaves_the_repeat_rate_when_it_is_cancelled() -> None:
    first, second = orders("2026-03-02", "2026-03-20")
    cancelled = OrderFact(
        **{name: getattr(second, name) for name in second.__struct_fields__} | {"cancelled_us": noon("2026-03-25")}
    )
    assert answer("repeat_rate", [first, cancelled], "2026-03-01", "month", noon("2026-03-24")).value == 100.0
    assert answer("repeat_rate", [first, cancelled], "2026-03-01", "month", noon("2026-03-25")).value == 0.0


STAYING = [
    *orders("2026-02-25", "2026-03-10"),
    *orders("2026-02-25", "2026-04-02"),
    *orders("2026-01-28", "2026-03-10"),
    *orders("2026-01-29", "2026-03-10"),
    *orders("2026-03-10"),
]
"""March has 31 days, so at its start those are active who ordered since 29 January: the first two and the fourth."""


def test_who_orders_in_the_window_before_a_period_and_in_it_stays() -> None:
    rate = answer("retention_rate", STAYING, "2026-03-01", "month", activity="order")
    assert (rate.numerator, rate.denominator, rate.open) == (2, 3, 0)
    churn = answer("churn_rate", STAYING, "2026-03-01", "month", activity="order")
    assert (churn.numerator, churn.denominator) == (1, 3)
    assert churn.value == pytest.approx(100 / 3)
    for kpi, number in (("lapsed_people", 1), ("new_people", 1), ("reactivated_people", 1)):
        assert answer(kpi, STAYING, "2026-03-01", "month", activity="order").value == number


def test_who_stays_is_open_until_the_period_is_over() -> None:
    (last_us, over_us) = (parse_time_us("2026-03-31T23:59:59Z"), parse_time_us("2026-04-01T00:00:00Z"))
    undecided = answer("retention_rate", STAYING, "2026-03-01", "month", last_us, activity="order")
    assert (undecided.value, undecided.n, undecided.open) == (None, 0, 3)
    assert answer("retention_rate", STAYING, "2026-03-01", "month", over_us, activity="order").open == 0


def test_any_touchpoint_of_the_customer_counts_where_that_is_asked_for() -> None:
    people = [*active("2026-02-27", "2026-03-02"), *active("2026-02-20")]
    rate = answer("retention_rate", people, "2026-03-02", "week", activity="touchpoint")
    assert (rate.numerator, rate.denominator) == (1, 1)
    assert answer("new_people", people, "2026-02-16", "week", activity="touchpoint").value == 1
    assert answer("retention_rate", people, "2026-03-02", "week", activity="order").n == 0
