"""Worked examples of the KPIs of what drives contacts, and what becomes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.facts import Day, Fact, Item, Reason
from schemas.times import DAY_US
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.domain.contact_formulas import price_of, priced
from services.metrics.domain.measures import contributions
from tests.unit.test_kpi_examples import CALENDAR, LONG_AFTER_US, START_US, answer, case, leg, order


def by(kpi_id: str, dimension: str, facts: Sequence[Fact], as_of_us: int = LONG_AFTER_US) -> dict[str | None, int]:
    """The sum of the first measure of a KPI's cube, by one dimension, as of a moment."""
    cube = KPI_BY_ID[kpi_id].cube
    found: defaultdict[str | None, int] = defaultdict(int)
    for one in (one for fact in facts for one in contributions(fact, True, CALENDAR)):
        if (one.cube, one.measure) == (cube.name, cube.measures[0]) and one.at_us <= as_of_us:
            found[one.dims[cube.dims.index(dimension)]] += one.value
    return dict(found)


def test_contacts_per_100_orders_and_per_100_people() -> None:
    """Three cases and two orders, one of which is cancelled a day later: 150, then 300 for every 100."""
    facts: list[Fact] = [case("1"), case("2"), case("3"), order(), order(order_id="2", cancelled_us=START_US + DAY_US)]
    assert answer("contact_rate_per_100_orders", facts, START_US).value == 150.0
    assert answer("contact_rate_per_100_orders", facts).value == 300.0
    assert answer("contact_rate_per_100_orders", facts[:3]).value is None
    active = Day(
        day="2026-03-02", at_us=START_US, active=True, items=[Item(START_US, "t", "web", "s", "customer", None, -1, None)]
    )
    assert answer("contact_rate_per_100_people", [*facts, active]).value == 300.0


def test_an_open_case_grows_older_until_it_is_resolved_and_goes_on_when_it_is_reopened() -> None:
    turns: dict[str, Any] = {
        "resolved_us": [START_US + 4 * DAY_US],
        "reopened_us": [START_US + 8 * DAY_US],
        "closed_us": START_US + 40 * DAY_US,
    }
    ages = {
        days: {age for age, n in by("open_cases", "age", [case(**turns)], START_US + days * DAY_US).items() if n}
        for days in (0, 1, 3, 4, 8, 30, 40)
    }
    assert ages == {
        0: {"0–1 days"}, 1: {"1–3 days"}, 3: {"3–7 days"}, 4: set(), 8: {"7–30 days"}, 30: {"over 30 days"}, 40: set(),
    }  # fmt: skip


def test_a_complaint_counts_once_under_the_first_other_reason() -> None:
    late = case(
        "1", reasons=[Reason(START_US, "complaint"), Reason(START_US + DAY_US, "damaged"), Reason(START_US + DAY_US, "rude")]
    )
    early = case("2", reasons=[Reason(START_US, "damaged"), Reason(START_US + DAY_US, "complaint")])
    facts = [late, early, case("3", reasons=[Reason(START_US, "damaged")])]
    assert answer("complaints", facts, START_US).value == 1
    assert answer("complaints", facts).value == 2
    assert by("complaints", "reason", facts) == {None: 0, "damaged": 2}


def test_a_contact_costs_its_handled_time() -> None:
    """One case of 2 and 4 minutes, one of 3, one unknown: 9 minutes at 0.50 are 4.50, 2.25 for each of the two."""
    facts = [
        case("1", legs=[leg(ended_us=START_US, handle_ms=120_000), leg(ended_us=START_US + DAY_US, handle_ms=240_000)]),
        case("2", legs=[leg(ended_us=START_US, handle_ms=180_000)]),
        case("3", legs=[leg(ended_us=START_US)]),
    ]
    assert answer("cost_per_contact", facts).value is None
    kpi = priced(KPI_BY_ID["cost_per_contact"], price_of("0.50 EUR"))
    found = kpi.formula.answer({"handled": 2, "handled_ms": 540_000}, "none", {})
    assert (found.value, found.numerator, found.denominator, found.also) == (2.25, 540_000, 2, {"currency": "EUR"})
    assert (answer("cost_per_contact", facts).numerator, answer("cost_per_contact", facts).denominator) == (540_000, 2)


def test_contacts_come_in_hours_of_the_week_in_which_agents_are_seen() -> None:
    """2 March 2026 is a Monday."""
    assert by("contact_load", "hour_of_week", [case("1"), case("2", at_us=START_US + DAY_US)]) == {"1-09": 1, "2-09": 1}
    found = KPI_BY_ID["contact_load"].formula.answer({"opened": 6, "agent_hours": 4}, "none", {})
    assert (found.value, found.also) == (6, {"agent_hours": 4, "per_agent_hour": 1.5})


@pytest.mark.parametrize(("level", "seconds"), [("20s", 20), ("1m", 60), ("5m", 300), ("60m", 3600)])
def test_a_wait_of_exactly_the_bound_is_within_it(level: str, seconds: int) -> None:
    """Waits of nothing, of the bound and of a millisecond more; one abandoned at once; one that ended with neither counts nowhere."""
    waits = [leg(answered_us=START_US, wait_ms=wait_ms) for wait_ms in (0, seconds * 1000, seconds * 1000 + 1)]
    facts = [case(legs=[*waits, leg(abandoned_us=START_US, wait_ms=0), leg(ended_us=START_US)])]
    found = answer(f"service_level_{level}", facts)
    assert (found.numerator, found.denominator) == (2, 4)
