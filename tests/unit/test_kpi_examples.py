"""Worked examples of KPIs: a few facts, and the numbers that anyone can work out from them by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.calendar import Calendar
from schemas.facts import Amount, CaseFact, Fact, Leg, OrderFact, Reason, Refund, SurveyFact
from schemas.times import DAY_US, HOUR_US, MINUTE_US, parse_time_us
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.domain.histogram import bucket_of
from services.metrics.domain.kpis import Answer, Distinct
from services.metrics.domain.measures import contributions

START_US = parse_time_us("2026-03-02T09:00:00Z")
LONG_AFTER_US = START_US + 365 * DAY_US
SECOND_US = 1_000_000
CALENDAR = Calendar()


def answer(kpi_id: str, facts: Sequence[Fact], as_of_us: int = LONG_AFTER_US) -> Answer:
    """A KPI of all these facts, as of a moment, without any breakdown."""
    kpi = KPI_BY_ID[kpi_id]
    cube = kpi.formula.since if isinstance(kpi.formula, Distinct) else kpi.cube
    sums: dict[str, int] = dict.fromkeys(cube.measures, 0)
    if kpi.beside is not None:
        sums[kpi.beside.id] = answer(kpi.beside.id, facts, as_of_us).numerator or 0
    counts: dict[int, int] = defaultdict(int)
    for fact in facts:
        for one in contributions(fact, True, CALENDAR):
            if one.cube == cube.name and one.at_us <= as_of_us:
                sums[one.measure] += one.times * one.value
                if one.measure == cube.spread:
                    counts[bucket_of(one.value)] += one.times
    return kpi.formula.answer(sums, "none", {bucket: count for bucket, count in counts.items() if count})


def case(id: str = "1", **fields: Any) -> CaseFact:
    given: dict[str, Any] = {
        "system": "desk",
        "case_id": id,
        "at_us": START_US,
        "stage": "loyalty",
        "channel": "phone",
        "source": "desk",
        "opened_by": "customer",
        "touchpoints": 1,
        "last_us": START_US,
    }
    return CaseFact(**{**given, **fields})


def leg(**fields: Any) -> Leg:
    given: dict[str, Any] = dict.fromkeys(Leg.__struct_fields__)
    return Leg(**{**given, "channel": "phone", "at_us": START_US, **fields})


def survey(kind: str, score: float, low: float, high: float, easy: str | None = None) -> SurveyFact:
    given: dict[str, Any] = {"survey_id": "s", "action": "answered", "at_us": START_US, "stage": "loyalty", "channel": "mail"}
    scale: dict[str, Any] = {"score": score, "scale_min": low, "scale_max": high, "easy": easy}
    return SurveyFact(survey_kind=kind, source="shop", first_id=f"shop/{score}", **given, **scale)


def order(**fields: Any) -> OrderFact:
    given: dict[str, Any] = {"system": "shop", "order_id": "1", "at_us": START_US, "stage": "purchase", "channel": "web"}
    return OrderFact(**{**given, "source": "shop", "amounts": [Amount(START_US, 20_000_000, "EUR")], **fields})


# -- service -----------------------------------------------------------------------------------------------------------------


def test_responses_of_agents_and_bots_are_apart() -> None:
    cases = [
        case("1", bot_responded_us=START_US + SECOND_US, responded_us=START_US + 30 * MINUTE_US),
        case("2", responded_us=START_US + 90 * MINUTE_US),
        case("3"),
    ]
    assert (answer("first_response_time", cases).value, answer("first_response_time", cases).n) == (3600.0, 2)
    assert (answer("bot_response_time", cases).value, answer("bot_response_time", cases).n) == (1.0, 1)


def test_service_levels_count_the_bound_and_all_that_was_abandoned() -> None:
    """Waits of 0, 20 and 21 seconds, one unknown, and one abandoned after 4: 2 of 5 within 20 seconds, 3 within a minute."""
    answered = [leg(answered_us=START_US, wait_ms=wait) for wait in (0, 20_000, 21_000, None)]
    abandoned = leg(queued_us=START_US, abandoned_us=START_US, wait_ms=4_000)
    ended = leg(queued_us=START_US, ended_us=START_US)
    cases = [case(legs=[*answered, abandoned, ended])]
    assert (answer("service_level_20s", cases).numerator, answer("service_level_20s", cases).denominator) == (2, 5)
    assert answer("service_level_1m", cases).numerator == 3
    assert answer("abandonment_rate", cases).value == 20.0
    assert answer("abandonment_rate_queued", cases).value == 50.0
    assert answer("short_abandons", cases).value == 100.0
    speed = answer("speed_of_answer", cases)
    assert speed.n == 3
    assert speed.value == pytest.approx(41 / 3)
    assert speed.quantiles is not None
    assert list(speed.quantiles.values()) == pytest.approx([20, 21, 21], rel=0.01)


def test_handling_is_dated_at_the_end_and_has_an_interval() -> None:
    """100, 200 and 300 seconds: mean 200, sample deviation 100, so 200 ± 1.959964 × 100 / √3."""
    cases = [case(legs=[leg(ended_us=START_US, handle_ms=seconds * 1000) for seconds in (100, 200, 300)])]
    found = answer("handling_time", cases)
    assert (found.value, found.n) == (200.0, 3)
    assert found.low == pytest.approx(200 - 113.16, rel=0.02)


def test_a_reopened_case_leaves_the_resolution_time_until_it_is_resolved_again() -> None:
    resolved = [START_US + HOUR_US, START_US + 5 * HOUR_US]
    cases = [case(resolved_us=resolved, reopened_us=[START_US + 2 * HOUR_US])]
    assert answer("first_resolution_time", cases).value == 3600.0
    assert answer("resolution_time", cases, START_US + HOUR_US).value == 3600.0
    assert answer("resolution_time", cases, START_US + 3 * HOUR_US).n == 0
    assert answer("resolution_time", cases).value == 5 * 3600.0
    assert answer("resolution_rate", cases, START_US + 3 * HOUR_US).value == 0.0
    assert answer("resolution_rate", cases).value == 100.0
    assert answer("reopen_rate", cases).value == 100.0


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, 100.0),
        ({"transferred_us": [START_US + MINUTE_US]}, 0.0),
        ({"transferred_us": [START_US + 2 * HOUR_US]}, 100.0),
        ({"reopened_us": [START_US + DAY_US]}, 0.0),
        ({"reopened_us": [START_US + HOUR_US + 8 * DAY_US]}, 100.0),
        ({"next_on_topic_us": START_US + HOUR_US + 7 * DAY_US}, 0.0),
        ({"next_on_topic_us": START_US + HOUR_US + 7 * DAY_US + 1}, 100.0),
    ],
)
def test_first_contact_resolution_is_decided_a_week_later(fields: dict[str, Any], value: float) -> None:
    cases = [case(resolved_us=[START_US + HOUR_US], **fields)]
    undecided = answer("first_contact_resolution", cases, START_US + DAY_US)
    assert (undecided.value, undecided.n, undecided.open) == (None, 0, 1)
    decided = answer("first_contact_resolution", cases)
    assert (decided.value, decided.n, decided.open) == (value, 1, 0)


def test_what_is_counted_per_case() -> None:
    cases = [
        case("1", transferred_us=[START_US] * 3, agents=["a", "b"], agents_us=[START_US] * 2, next_us=START_US + 7 * DAY_US),
        case("2", reasons=[Reason(START_US, "repeated_information"), Reason(START_US, "complaint")]),
    ]
    assert answer("transfers_per_case", cases).value == 1.5
    assert answer("agents_per_case", cases).value == 1.0
    assert answer("repeated_information", cases).value == 50.0
    assert answer("repeat_contacts", cases).value == 50.0
    assert answer("contact_reasons", cases).value == 2


# -- surveys -----------------------------------------------------------------------------------------------------------------


def test_mean_satisfaction_has_an_interval() -> None:
    """3, 4 and 5: mean 4, sample deviation 1, so 4 ± 1.959964 / √3."""
    found = answer("csat_mean", [survey("csat", score, 1, 5) for score in (3, 4, 5)])
    assert (found.value, found.n) == (4.0, 3)
    assert [found.low, found.high] == pytest.approx([4 - 1.131586, 4 + 1.131586], abs=1e-6)


@pytest.mark.parametrize(
    ("easy", "high", "scores"), [("low", 5, {1, 2}), ("low", 7, {1, 2, 3}), ("high", 5, {4, 5}), ("high", 7, {5, 6, 7})]
)
def test_easy_is_a_third_of_the_scale_from_its_easy_end(easy: str, high: int, scores: set[int]) -> None:
    found = {score for score in range(1, high + 1) if answer("ces_easy", [survey("ces", score, 1, high, easy)]).value == 100.0}
    assert found == scores


def test_a_survey_that_is_answered_later_counts_for_the_day_it_was_sent() -> None:
    sent = SurveyFact(
        survey_id="s", survey_kind="nps", action="sent", at_us=START_US, stage="loyalty", channel="mail", source="shop",
        answered_us=START_US + DAY_US, first_id="shop/1",
    )  # fmt: skip
    assert answer("survey_response_rate", [sent], START_US).value == 0.0
    assert answer("survey_response_rate", [sent]).value == 100.0


# -- orders ------------------------------------------------------------------------------------------------------------------


def test_what_is_given_back_leaves_net_revenue_when_it_is() -> None:
    part = order(refunds=[Refund(START_US + DAY_US, 5_000_000)])
    whole = order(order_id="2", refunds=[Refund(START_US + DAY_US, 5_000_000), Refund(START_US + 2 * DAY_US, None)])
    assert answer("net_revenue", [part, whole], START_US).value == 40.0
    assert answer("net_revenue", [part, whole], START_US + DAY_US).value == 30.0
    assert answer("net_revenue", [part, whole]).value == 15.0
    assert answer("gross_revenue", [part, whole]).value == 40.0
    assert answer("average_order_value", [part, whole]).value == 20.0


def test_a_cancelled_order_leaves_everything_also_what_was_refunded() -> None:
    cancelled = order(refunds=[Refund(START_US + DAY_US, 5_000_000)], cancelled_us=START_US + 2 * DAY_US)
    assert answer("net_revenue", [cancelled]).value == 0.0
    assert answer("orders", [cancelled]).value == 0
    assert answer("cancellation_rate", [cancelled, order(order_id="2")]).value == 50.0


def test_returns_count_for_the_day_of_the_order() -> None:
    returned = order(returned_us=START_US + DAY_US, refunds=[Refund(START_US + DAY_US, None)])
    assert (answer("return_rate", [returned], START_US).value, answer("return_rate", [returned]).value) == (0.0, 100.0)
    assert answer("net_revenue", [returned]).value == 0.0
