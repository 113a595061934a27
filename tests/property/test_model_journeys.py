"""The model of journeys keeps what DESIGN.md sections 7 to 9 promise, whatever the touchpoints."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.model import Touchpoint
from tests.model.journeys import STAGES, Journey, journeys
from tests.model.stagetable import stage_table

TIMEOUT = 10
orders = st.none() | st.fixed_dictionaries(
    {"order_id": st.sampled_from("12"), "action": st.sampled_from(["placed", "placed", "changed", "cancelled"])}
)


@st.composite
def histories(draw: st.DrawFn) -> list[Touchpoint]:
    touchpoints = []
    for number in range(draw(st.integers(0, 10))):
        order, stage = draw(orders), draw(st.none() | st.sampled_from(STAGES))
        touchpoints.append(
            {
                "source": "web",
                "system": "shop",
                "id": str(number),
                "time_us": draw(st.integers(0, 60)),
                "case_rank": 0,
                "actor": draw(st.sampled_from(["customer", "customer", "business", "system"])),
                "stage": stage,
                "order": order,
                "placed_order": order is not None and order["action"] == "placed" and stage is None,
            }
        )
    return touchpoints


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(history: list[Touchpoint], random: Any) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)
    assert journeys(shuffled, TIMEOUT) == journeys(history, TIMEOUT)


@given(histories())
def test_a_touchpoint_is_in_one_journey_at_most_and_the_customer_s_are_in_one(history: list[Touchpoint]) -> None:
    members = [touchpoint["id"] for journey in journeys(history, TIMEOUT) for _, touchpoint in journey.members]
    assert len(members) == len(set(members))
    assert {touchpoint["id"] for touchpoint in history if touchpoint["actor"] == "customer"} <= set(members)


@given(histories())
def test_stages_are_reached_in_their_order_and_count_every_touchpoint(history: list[Touchpoint]) -> None:
    for journey in journeys(history, TIMEOUT):
        reached = [stage.reached_us for stage in journey.stages.values() if stage.reached_us is not None]
        assert reached == sorted(reached)
        assert reached[0] == journey.started_us
        assert sum(stage.touchpoints for stage in journey.stages.values()) == len(journey.members)
        assert not journey.stages[journey.entry_stage].skipped
        assert journey.stages[journey.furthest_stage].left_us is None
        for stage in journey.stages.values():
            assert stage.touched_us is None or stage.touched_us >= journey.started_us
            assert not (stage.skipped and stage.touchpoints and stage.time_us is not None)


@given(histories())
def test_journeys_are_further_apart_than_the_timeout(history: list[Touchpoint]) -> None:
    found = journeys(history, TIMEOUT)
    for earlier, later in pairwise(found):
        assert later.started_us - earlier.last_us > TIMEOUT
    assert len(journeys(history, None)) == min(len(found), 1)


@given(
    st.lists(histories(), max_size=4),
    st.integers(0, 80),
    st.sampled_from(["new", "returning", "all"]),
    st.sampled_from(["journey", "person"]),
)
def test_a_stage_table_s_rows_fit_together(people: list[list[Touchpoint]], as_of: int, which: str, unit: str) -> None:
    table = stage_table(people, 0, 100, as_of, which, unit, TIMEOUT)
    assert table.stages[0].reached == table.journeys
    assert sum(row.dropped + row.in_stage_now for row in table.stages) == table.journeys
    for row in table.stages:
        assert row.conversion is None or 0 <= row.conversion <= 1
        assert row.skipped <= row.reached
        assert len(row.times_ms) <= row.touched


@given(st.lists(histories(), max_size=4), st.integers(0, 80))
def test_new_and_returning_journeys_add_up_to_all(people: list[list[Touchpoint]], as_of: int) -> None:
    new, returning, every = (
        stage_table(people, 0, 100, as_of, which, "journey", TIMEOUT) for which in ("new", "returning", "all")
    )
    assert new.journeys + returning.journeys == every.journeys
    for one, other, both in zip(new.stages, returning.stages, every.stages, strict=True):
        assert (one.touchpoints + other.touchpoints, one.dropped + other.dropped) == (both.touchpoints, both.dropped)


def at(time_us: int, stage: str | None = None, actor: str = "customer", order: str | None = None, **more: Any) -> Touchpoint:
    action = {"order_id": order, "action": more.pop("action", "placed")} if order else None
    return {
        "source": "web", "system": "shop", "id": f"{time_us}/{actor}", "time_us": time_us, "actor": actor, "stage": stage,
        "order": action, "placed_order": action is not None and action["action"] == "placed" and stage is None, **more,
    }  # fmt: skip


def only(history: list[Touchpoint]) -> Journey:
    (journey,) = journeys(history, TIMEOUT)
    return journey


def test_a_silence_of_exactly_the_timeout_ends_nothing() -> None:
    assert len(journeys([at(0), at(10)], TIMEOUT)) == 1
    assert len(journeys([at(0), at(11)], TIMEOUT)) == 2


def test_a_stage_has_a_time_only_if_it_was_touched() -> None:
    journey = only([at(0, "consideration"), at(3), at(5, "loyalty")])
    assert journey.stages["awareness"].time_us is None
    assert journey.stages["consideration"].time_us == 5
    assert [name for name, stage in journey.stages.items() if stage.skipped] == ["purchase"]
    assert journey.stages["consideration"].touchpoints == 2
    assert (journey.furthest_stage, journey.current_stage) == ("loyalty", "loyalty")


def test_the_first_order_that_stands_is_the_purchase() -> None:
    shopping = [at(0, order="1"), at(1, order="1"), at(2, order="2")]
    assert [only(shopping).stages[stage].touchpoints for stage in ("purchase", "loyalty")] == [2, 1]
    cancelled = [at(0, order="1"), at(1, order="1", action="cancelled"), at(2, order="2")]
    assert [only(cancelled).stages[stage].touchpoints for stage in ("purchase", "loyalty")] == [3, 0]
    foreign = [at(0, order="1", own=False), at(1, order="1"), at(2, order="2")]
    assert [only(foreign).stages[stage].touchpoints for stage in ("purchase", "loyalty")] == [2, 0]


def test_who_has_ordered_before_enters_at_loyalty() -> None:
    first, second = journeys([at(0, order="1"), at(20, "consideration")], TIMEOUT)
    assert (first.entry_stage, second.entry_stage) == ("awareness", "loyalty")
    assert (second.furthest_stage, second.current_stage) == ("loyalty", "consideration")
    assert second.stages["consideration"].reached_us is None


def test_touchpoints_of_others_belong_to_the_open_journey_else_to_the_next() -> None:
    first, second = journeys([at(0), at(10, actor="business"), at(11, actor="system"), at(21), at(31, actor="business")], TIMEOUT)
    assert [touchpoint["time_us"] for _, touchpoint in first.members] == [0, 10]
    assert second.members == [(21, at(11, actor="system")), (21, at(21)), (31, at(31, actor="business"))]
    assert journeys([at(0, actor="business")], TIMEOUT) == []
    assert [touchpoint["time_us"] for _, touchpoint in only([at(0, actor="business"), at(11)]).members] == [11]


def test_a_stage_table_as_of_a_day_knows_nothing_of_what_came_later() -> None:
    person = [at(0), at(5_000, "consideration"), at(9_000, "purchase")]
    table = stage_table([person], 0, 1, 5_000, timeout_us=10_000)
    assert [row.reached for row in table.stages] == [1, 1, 0, 0, 0]
    assert [row.in_stage_now for row in table.stages] == [0, 1, 0, 0, 0]
    assert [row.conversion for row in table.stages] == [None, Fraction(1), Fraction(0), None, None]
    assert table.stages[0].times_ms == (5,)
    later = stage_table([person], 0, 1, 19_000, timeout_us=10_000)
    assert [row.dropped for row in later.stages] == [0, 0, 1, 0, 0]
    assert stage_table([person], 0, 1, 18_999, timeout_us=10_000).stages[2].in_stage_now == 1
