"""What single facts contribute, by examples that can be checked by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest

from schemas.calendar import Calendar, day_number
from schemas.facts import Amount, CaseFact, Cohort, Day, Ended, Fact, Item, OrderFact, Step, SurveyFact, Touched, Transition
from schemas.times import parse_time_us
from services.metrics.domain.cubes import BY_NAME, Dims
from services.metrics.domain.kpis import NetScore, Share
from services.metrics.domain.measures import contributions
from services.metrics.domain.stages import stage_rows, transition_rows

CALENDAR = Calendar("UTC")
FIRST = ("web", "shop", None, "email")


def us(text: str) -> int:
    return parse_time_us(text)


def journey(entry: str = "awareness", started: str = "2026-01-01T10:00:00Z") -> Cohort:
    assert entry in ("awareness", "loyalty")
    return Cohort("j", us(started), "awareness" if entry == "awareness" else "loyalty", "web", "shop", None, "email")


def summed(found: Iterable[Fact], cube: str, as_of: str = "9000-01-01T00:00:00Z") -> dict[tuple[str, Dims], int]:
    """{(measure, dims): sum} of one cube as of an instant, without zeros."""
    sums: dict[tuple[str, Dims], int] = defaultdict(int)
    for fact in found:
        for one in contributions(fact, True, CALENDAR):
            if one.cube == cube and one.at_us <= us(as_of):
                sums[one.measure, one.dims] += one.value
    return {key: value for key, value in sums.items() if value}


def table_of(
    found: Iterable[Fact], cube: str = "stages.new", as_of: str = "9000-01-01T00:00:00Z"
) -> dict[object, dict[str, object]]:
    sums: dict[Dims, dict[str, int]] = defaultdict(lambda: dict.fromkeys(BY_NAME[cube].measures, 0))
    for (measure, dims), value in summed(found, cube, as_of).items():
        sums[dims[:1]][measure] += value
    return {row["stage"]: row for row in stage_rows((), sums, {})}


A_JOURNEY: list[Fact] = [
    Step(unit="journey", cohort=journey(), at_us=us("2026-01-01T10:00:00Z"), from_stage=None, to_stage="awareness"),
    Touched(unit="journey", cohort=journey(), at_us=us("2026-01-01T10:00:00Z"), stage="awareness"),
    Step(
        unit="journey",
        cohort=journey(),
        at_us=us("2026-01-03T10:00:00Z"),
        from_stage="awareness",
        to_stage="purchase",
        skipped=["consideration"],
        time_ms=2 * 86_400_000,
    ),
    Touched(unit="journey", cohort=journey(), at_us=us("2026-01-03T10:00:00Z"), stage="purchase"),
    Ended(
        cohort=journey(),
        at_us=us("2026-04-03T10:00:00Z"),
        last_us=us("2026-01-03T10:00:00Z"),
        furthest_stage="purchase",
        reached_us=us("2026-01-03T10:00:00Z"),
        current_stage="purchase",
        first_id="shop/1",
    ),
]


def test_a_journey_that_jumps_to_a_purchase_and_ends() -> None:
    table = table_of(A_JOURNEY)
    assert [table[stage]["reached"] for stage in table] == [1, 1, 1, 0, 0]
    assert [table[stage]["touched"] for stage in table] == [1, 0, 1, 0, 0]
    assert [table[stage]["skipped"] for stage in table] == [0, 1, 0, 0, 0]
    assert [table[stage]["dropped"] for stage in table] == [0, 0, 1, 0, 0]
    assert [table[stage]["in_stage_now"] for stage in table] == [0, 0, 0, 0, 0]
    assert [table[stage]["conversion"] for stage in table] == [None, 1.0, 1.0, 0.0, None]


def test_before_its_end_the_journey_is_in_its_furthest_stage() -> None:
    table = table_of(A_JOURNEY, as_of="2026-04-03T09:59:59.999999Z")
    assert [table[stage]["in_stage_now"] for stage in table] == [0, 0, 1, 0, 0]
    assert [table[stage]["dropped"] for stage in table] == [0, 0, 0, 0, 0]


def test_before_the_purchase_it_is_in_awareness() -> None:
    table = table_of(A_JOURNEY, as_of="2026-01-03T09:59:59Z")
    assert [table[stage]["in_stage_now"] for stage in table] == [1, 0, 0, 0, 0]
    assert [table[stage]["reached"] for stage in table] == [1, 0, 0, 0, 0]


def test_time_in_a_stage_counts_for_the_stage_that_was_left() -> None:
    assert summed(A_JOURNEY, "stages.new")["time_ms", ("awareness", *FIRST)] == 172_800_000


def test_a_returning_journey_has_got_beyond_the_stages_before_loyalty() -> None:
    start = Step(unit="journey", cohort=journey("loyalty"), at_us=us("2026-01-01T10:00:00Z"), from_stage=None, to_stage="loyalty")
    table = table_of([start], "stages.returning")
    assert [table[stage]["reached"] for stage in table] == [1, 1, 1, 1, 0]
    assert [table[stage]["in_stage_now"] for stage in table] == [0, 0, 0, 1, 0]
    assert [table[stage]["skipped"] for stage in table] == [0, 0, 0, 0, 0]
    assert summed([start], "journeys") == {("journeys", ("loyalty", "web")): 1}
    assert not summed([start], "stages.new")


def test_touchpoints_that_came_before_the_journey_are_adopted_at_its_start() -> None:
    start = Step(
        unit="journey",
        cohort=journey(),
        at_us=us("2026-01-01T10:00:00Z"),
        from_stage=None,
        to_stage="awareness",
        adopted={"awareness": 2, "purchase": 1},
    )
    table = table_of([start])
    assert [table[stage]["touchpoints"] for stage in table] == [2, 0, 1, 0, 0]


def test_a_persons_history_has_no_end_and_starts_no_journey() -> None:
    start = Step(unit="person", cohort=journey(), at_us=us("2026-01-01T10:00:00Z"), from_stage=None, to_stage="awareness")
    assert summed([start], "stages.person")["started", ("awareness", *FIRST)] == 1
    assert not summed([start], "journeys")
    assert not summed([start], "stages.new")


def test_transitions_run_from_the_start_to_the_end() -> None:
    found: list[Fact] = [
        Transition(cohort=journey(), at_us=us("2026-01-01T10:00:00Z"), n=0, from_stage=None, to_stage="awareness"),
        Transition(cohort=journey(), at_us=us("2026-01-03T10:00:00Z"), n=1, from_stage="awareness", to_stage="purchase"),
        A_JOURNEY[-1],
    ]
    sums: dict[Dims, dict[str, int]] = {dims[:2]: {"transitions": n} for (_, dims), n in summed(found, "transitions.new").items()}
    assert transition_rows((), sums) == [
        {"from": None, "to": "awareness", "transitions": 1},
        {"from": "awareness", "to": "purchase", "transitions": 1},
        {"from": "purchase", "to": None, "transitions": 1},
    ]


def day(previous: str | None) -> Day:
    """A Wednesday: a mail from the business at 8, the customer's visit at 9:30."""
    return Day(
        day="2026-04-01",
        at_us=us("2026-04-01T08:00:00Z"),
        active=True,
        previous_active=previous,
        items=[
            Item(us("2026-04-01T08:00:00Z"), "mail_sent", "email", "shop", "business", None, -1, None),
            Item(us("2026-04-01T09:30:00Z"), "page_viewed", "web", "shop", "customer", "awareness", 0, "consideration"),
        ],
        journeys=[journey()],
        person=journey(),
    )


def test_every_touchpoint_counts_at_its_own_time() -> None:
    assert summed([day(None)], "touchpoints", "2026-04-01T09:00:00Z") == {
        ("touchpoints", (None, "email", "mail_sent", "shop")): 1
    }
    assert summed([day(None)], "touchpoints")["touchpoints", ("awareness", "web", "page_viewed", "shop")] == 1
    assert summed([day(None)], "stages.new") == {("touchpoints", ("awareness", *FIRST)): 1}
    assert summed([day(None)], "stages.person") == {("touchpoints", ("consideration", *FIRST)): 1}


@pytest.mark.parametrize(
    ("previous", "periods"),
    [
        (None, {"day", "week", "month", "quarter", "year"}),
        ("2025-12-31", {"day", "week", "month", "quarter", "year"}),
        ("2026-01-01", {"day", "week", "month", "quarter"}),
        ("2026-03-29", {"day", "week", "month", "quarter"}),
        ("2026-03-30", {"day", "month", "quarter"}),
    ],
)
def test_a_person_is_new_to_the_periods_that_do_not_hold_the_active_day_before(previous: str | None, periods: set[str]) -> None:
    """1 April 2026 is a Wednesday and begins a month and a quarter; its week began on 30 March."""
    assert {measure for measure, _ in summed([day(previous)], "people")} == periods
    assert not summed([day(previous)], "people", "2026-04-01T09:00:00Z"), "the business's mail makes nobody active"


def order(amounts: list[Amount], cancelled: str | None = None) -> OrderFact:
    return OrderFact(
        system="shop",
        order_id="o-1",
        at_us=us("2026-01-01T00:00:00Z"),
        stage="purchase",
        channel="web",
        source="shop",
        amounts=amounts,
        cancelled_us=(cancelled and us(cancelled)) or None,
    )


def at(text: str, micros: int | None, currency: str | None = "EUR") -> Amount:
    return Amount(us(text), micros, currency)


EUR, USD, UNKNOWN = (("EUR", "purchase", "web", "shop"), ("USD", "purchase", "web", "shop"), (None, "purchase", "web", "shop"))


def test_an_order_is_worth_what_was_last_said() -> None:
    amended = order([at("2026-01-01T00:00:00Z", 10), at("2026-02-01T00:00:00Z", 25)])
    assert summed([amended], "orders", "2026-01-15T00:00:00Z") == {("orders", EUR): 1, ("gross_micros", EUR): 10}
    assert summed([amended], "orders", "2026-02-01T00:00:00Z") == {("orders", EUR): 1, ("gross_micros", EUR): 25}


def test_a_cancelled_order_takes_back_what_it_was_worth_then() -> None:
    cancelled = order([at("2026-01-01T00:00:00Z", 10), at("2026-02-01T00:00:00Z", 25)], "2026-01-20T00:00:00Z")
    assert summed([cancelled], "orders", "2026-01-19T00:00:00Z") == {("orders", EUR): 1, ("gross_micros", EUR): 10}
    assert summed([cancelled], "orders", "2026-01-20T00:00:00Z") == {}
    assert summed([cancelled], "orders") == {}


def test_an_order_moves_to_the_currency_that_it_turns_out_to_have() -> None:
    late = order([at("2026-01-01T00:00:00Z", None, None), at("2026-02-01T00:00:00Z", 25, "USD")])
    assert summed([late], "orders", "2026-01-15T00:00:00Z") == {("orders", UNKNOWN): 1}
    assert summed([late], "orders") == {("orders", USD): 1, ("gross_micros", USD): 25}
    assert summed([order([])], "orders") == {("orders", UNKNOWN): 1}


def test_a_case_counts_when_it_is_opened() -> None:
    opened = CaseFact(
        system="desk",
        case_id="9",
        at_us=us("2026-01-01T00:00:00Z"),
        stage="loyalty",
        channel="phone",
        source="desk",
        opened_by="customer",
        touchpoints=3,
        last_us=us("2026-01-02T00:00:00Z"),
        topic="returns",
        resolved_us=[us("2026-01-02T00:00:00Z")],
    )
    assert summed([opened], "cases") == {("opened", ("loyalty", "phone", "returns", None, None, "desk")): 1}


def survey(kind: str, score: float | None, low: float | None = None, high: float | None = None) -> SurveyFact:
    return SurveyFact(
        survey_id="s",
        survey_kind=kind,
        action="answered",
        at_us=us("2026-01-01T00:00:00Z"),
        stage="loyalty",
        channel="email",
        source="shop",
        score=score,
        scale_min=low,
        scale_max=high,
        first_id="1",
    )


def measures_of(fact: SurveyFact, cube: str) -> set[str]:
    return {measure for measure, _ in summed([fact], cube)}


@pytest.mark.parametrize(
    ("score", "low", "high", "measures"),
    [
        (4, 1, 5, {"answered", "satisfied"}),
        (3.9, 1, 5, {"answered"}),
        (4, None, None, {"answered", "satisfied"}),
        (75, 0, 100, {"answered", "satisfied"}),
        (74, 0, 100, {"answered"}),
        (6, 1, 5, set()),
        (None, 1, 5, set()),
    ],
)
def test_satisfied_is_three_quarters_up_the_scale(score: float | None, low: float, high: float, measures: set[str]) -> None:
    assert measures_of(survey("csat", score, low, high), "csat") == measures
    assert not measures_of(survey("csat", score, low, high), "nps")


@pytest.mark.parametrize(
    ("score", "low", "high", "measures"),
    [
        (9, 0, 10, {"answered", "promoters"}),
        (8, 0, 10, {"answered"}),
        (7, 1, 10, {"answered"}),
        (6, 0, 10, {"answered", "detractors"}),
        (0, 0, 10, {"answered", "detractors"}),
        (10, None, None, {"answered", "promoters"}),
        (5, 1, 5, set()),
        (11, 0, 10, set()),
    ],
)
def test_nps_has_the_scales_to_ten_only(score: float, low: float, high: float, measures: set[str]) -> None:
    assert measures_of(survey("nps", score, low, high), "nps") == measures


def test_the_net_promoter_score_of_ten_answers() -> None:
    answer = NetScore("promoters", "detractors", "answered").answer({"promoters": 6, "detractors": 2, "answered": 10}, "none", {})
    assert (answer.value, answer.numerator, answer.denominator, answer.n) == (40.0, 4, 10, 10)
    assert answer.low == pytest.approx(-9.583, abs=1e-3)
    assert answer.high == pytest.approx(89.583, abs=1e-3)


def test_a_share_of_nothing_has_no_value() -> None:
    answer = Share("satisfied", "answered").answer({"satisfied": 0, "answered": 0}, "none", {})
    assert (answer.value, answer.n, answer.low, answer.high) == (None, 0, None, None)


def test_the_cohort_day_is_the_day_on_which_the_journey_started() -> None:
    days = {one.cohort_day for fact in A_JOURNEY for one in contributions(fact, True, CALENDAR) if one.cube == "stages.new"}
    assert days == {day_number("2026-01-01")}
