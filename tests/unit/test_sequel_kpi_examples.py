"""Worked examples of the KPIs of what follows: articles, bad experiences, slow answers, outreach."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from schemas.facts import Bad, Fact, Helped, Reached, Slow
from schemas.times import DAY_US, HOUR_US
from services.metrics.domain.statistics import difference
from tests.unit.test_kpi_examples import START_US, answer, case


def given(ref: str, followed_us: int | None = None) -> dict[str, Any]:
    at: dict[str, Any] = {"at_us": START_US, "stage": "loyalty", "channel": "web", "source": "shop"}
    return {**at, "ref": ref, "followed_us": followed_us}


def test_a_visit_with_an_article_and_no_case_within_a_day_was_deflected() -> None:
    facts = [
        Helped(article_id="returns", **given("1")),
        Helped(article_id="returns", **given("2", START_US + DAY_US)),
        Helped(article_id="sizes", **given("3")),
    ]
    early = answer("deflection_rate", facts, START_US + DAY_US - 1)
    assert (early.value, early.n, early.open) == (None, 0, 3)
    found = answer("deflection_rate", facts, START_US + DAY_US)
    assert (found.numerator, found.denominator, found.open) == (2, 3, 0)


def test_a_bad_experience_has_90_days_to_be_made_good() -> None:
    facts = [Bad(experience="complaint", **given("1", START_US + 80 * DAY_US)), Bad(experience="waited", **given("2"))]
    assert answer("recovery_rate", facts, START_US + 89 * DAY_US).open == 2
    assert answer("recovery_rate", facts, START_US + 90 * DAY_US).value == 50.0


def test_a_customer_who_says_nothing_for_a_week_after_a_slow_answer_has_gone() -> None:
    facts = [Slow(**given("1")), Slow(**given("2", START_US + HOUR_US)), Slow(**given("3", START_US + HOUR_US))]
    assert answer("abandoned_after_slow_answer", facts, START_US + 6 * DAY_US).open == 3
    assert answer("abandoned_after_slow_answer", facts).value == pytest.approx(100 / 3)


def reached(ref: str, asked: bool, before: bool = False, control: bool = False) -> Reached:
    asked_us, before_us = START_US + DAY_US if asked else None, START_US - DAY_US if before else None
    return Reached(outreach_id="delay", control=control, before_us=before_us, **given(ref, asked_us))


def test_outreach_is_compared_with_its_controls() -> None:
    """One of four asks who were reached, two of four who were not: 25 % less 50 %."""
    facts = [reached(str(n), n == 0) for n in range(4)] + [reached(f"c{n}", n < 2, control=True) for n in range(4)]
    found = answer("outreach_effect", facts)
    assert (found.value, found.numerator, found.denominator, found.n) == (-25.0, 1, 4, 8)
    assert found.also == {"rate": 25.0, "against": "control", "rate_against": 50.0}
    assert [found.low, found.high] == pytest.approx([-65.529, 31.956], abs=0.001)
    assert answer("outreach_effect", facts, START_US + DAY_US).open == 8


def test_the_interval_of_a_difference_is_the_one_that_newcombe_published() -> None:
    """Table II of the paper, method 10: 56 of 70 less 48 of 80, and 9 of 10 less 3 of 10."""
    assert difference(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=0.0001)
    assert difference(9, 10, 3, 10) == pytest.approx((0.1705, 0.8090), abs=0.0001)
    assert difference(0, 0, 3, 10) is None


def test_without_controls_it_is_compared_with_the_same_people_before() -> None:
    """Of four, three asked before and two after, one of them only after: 50 % less 75 %."""
    facts = [reached("1", True, True), reached("2", True), reached("3", False, True), reached("4", False, True)]
    found = answer("outreach_effect", facts)
    assert (found.value, found.also) == (-25.0, {"rate": 50.0, "against": "before", "rate_against": 75.0})


def test_proactive_contacts_are_outreaches_among_those_and_what_customers_opened() -> None:
    by_business: Literal["business"] = "business"
    cases = [case("1"), case("2"), case("3"), case("4", opened_by=by_business)]
    facts: list[Fact] = [reached("1", True), reached("2", False, control=True), *cases]
    assert (answer("proactive_share", facts).numerator, answer("proactive_share", facts).denominator) == (1, 4)
