"""Worked examples of the KPIs of what drives contacts, and what becomes of them."""

from __future__ import annotations

from schemas.facts import Day, Fact, Item
from schemas.times import DAY_US
from tests.unit.test_kpi_examples import START_US, answer, case, order


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
