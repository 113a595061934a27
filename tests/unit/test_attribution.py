"""Worked examples of attribution: a path or a few, and the credits that anyone can work out from them by hand."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar import Calendar
from schemas.facts import Amount, OrderFact, PathFact, Touch
from schemas.times import DAY_US, parse_time_us
from services.metrics.domain.attribution import allocated
from services.metrics.domain.measures import contributions

ORDERED_US = parse_time_us("2026-03-20T09:00:00Z")
RULES = ("first", "last", "last_nondirect", "linear", "linear_exposure", "position", "decay")


def order(*path: tuple[float, str], **fields: Any) -> OrderFact:
    """An order of 10 EUR after touches given as (days before, channel)."""
    touches = [Touch(ORDERED_US - int(days * DAY_US), channel, None) for days, channel in path]
    given: dict[str, Any] = {"system": "shop", "order_id": "1", "at_us": ORDERED_US, "stage": "purchase", "channel": "web"}
    worth = [Amount(ORDERED_US, 10_000_000, "EUR")]
    return OrderFact(**{**given, "source": "shop", "amounts": worth, "path": touches, **fields})


def summed(cube: str, *facts: OrderFact | PathFact, as_of_us: int = ORDERED_US + 365 * DAY_US) -> dict[str, dict[Any, int]]:
    """Measures of a cube by its first dimension that is not the currency."""
    sums: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    place = 1 if cube == "attributed_revenue" else 0
    for fact in facts:
        for one in contributions(fact, True, Calendar()):
            if one.cube == cube and one.at_us <= as_of_us:
                sums[one.measure][one.dims[place]] += one.value
    return {measure: {key: value for key, value in of.items() if value} for measure, of in sums.items()}


def test_each_rule_shares_one_order_among_the_touches_before_it() -> None:
    """Email, direct, search, direct: 14, 7, 7 and 0 days before. Decay weighs them 1/4, 1/2, 1/2 and 1."""
    found = summed("attribution", order((14, "email"), (7, "direct"), (7, "search"), (0, "direct")))
    assert found == {
        "first": {"email": 1_000_000},
        "last": {"direct": 1_000_000},
        "last_nondirect": {"search": 1_000_000},
        "linear": {"email": 250_000, "direct": 500_000, "search": 250_000},
        "linear_exposure": {"email": 250_000, "direct": 500_000, "search": 250_000},
        "position": {"email": 400_000, "direct": 500_000, "search": 100_000},
        "decay": {"email": 111_111, "direct": 666_667, "search": 222_222},
    }


def test_what_is_left_over_goes_to_the_largest_remainder_and_among_equals_to_the_earliest() -> None:
    found = summed("attribution", order((3, "a"), (2, "b"), (1, "c")))
    assert found["linear"] == {"a": 333_334, "b": 333_333, "c": 333_333}
    assert allocated(10, [3, 3, 1]) == [4, 4, 2]  # 4.29, 4.29, 1.43: the last has the largest remainder
    money = summed("attributed_revenue", order((3, "a"), (2, "b"), (1, "c")))
    assert money["linear"] == {"a": 3_333_334, "b": 3_333_333, "c": 3_333_333}
    assert money["orders"] == found["linear"]


def test_repeats_count_each_time_but_by_exposure_once() -> None:
    found = summed("attribution", order((3, "search"), (2, "search"), (1, "direct")))
    assert found["linear"] == {"search": 666_667, "direct": 333_333}
    assert found["linear_exposure"] == {"search": 500_000, "direct": 500_000}


def test_two_touches_share_by_position_and_a_single_one_has_it_all() -> None:
    assert summed("attribution", order((2, "a"), (1, "b")))["position"] == {"a": 500_000, "b": 500_000}
    single = summed("attribution", order((2, "direct")))
    assert all(single[rule] == {"direct": 1_000_000} for rule in RULES)


def test_the_first_touch_is_that_of_the_whole_path() -> None:
    found = summed("attribution", order((2, "a"), (1, "b"), first_touch=Touch(ORDERED_US - 20 * DAY_US, "z", None)))
    assert (found["first"], found["linear"]) == ({"z": 1_000_000}, {"a": 500_000, "b": 500_000})


def test_an_order_without_a_touch_is_credited_to_no_channel() -> None:
    found = summed("attribution", order())
    assert all(found[rule] == {None: 1_000_000} for rule in RULES)


def test_credit_follows_the_worth_of_the_order_and_leaves_with_it() -> None:
    changed_us, cancelled_us = ORDERED_US + DAY_US, ORDERED_US + 2 * DAY_US
    amounts = [Amount(ORDERED_US, 10_000_000, "EUR"), Amount(changed_us, 30_000_000, "EUR")]
    one = order((2, "a"), (1, "b"), amounts=amounts, cancelled_us=cancelled_us)
    assert summed("attributed_revenue", one, as_of_us=ORDERED_US)["linear"] == {"a": 5_000_000, "b": 5_000_000}
    assert summed("attributed_revenue", one, as_of_us=changed_us)["linear"] == {"a": 15_000_000, "b": 15_000_000}
    for cube in ("attributed_revenue", "attribution", "channel_steps", "channel_sets", "channel_worths"):
        assert not any(summed(cube, one).values())


def test_a_path_without_an_order_is_lost_until_something_follows() -> None:
    path = PathFact(
        at_us=ORDERED_US, stage="purchase", channels=["a", "b", "a"], campaigns=[""], ended_us=ORDERED_US + DAY_US, first_id="s/1"
    )
    assert summed("channel_sets", path, as_of_us=ORDERED_US) == {"lost": {"purchase": 1}}
    assert summed("channel_steps", path, as_of_us=ORDERED_US) == {"lost": {"purchase": 4}}
    assert summed("channel_sets", path) == {"lost": {}}


@given(total=st.integers(0, 10**12), weights=st.lists(st.integers(0, 2**40), min_size=1, max_size=50).filter(any))
def test_shares_add_up_and_are_within_one_of_the_exact_ones(total: int, weights: list[int]) -> None:
    shares = allocated(total, weights)
    assert sum(shares) == total
    assert all(abs(share * sum(weights) - total * weight) < sum(weights) for share, weight in zip(shares, weights, strict=True))


@settings(max_examples=50)
@given(days=st.lists(st.integers(0, 30), max_size=50), micros=st.integers(0, 10**12), data=st.data())
def test_every_rule_gives_all_of_every_order(days: list[int], micros: int, data: st.DataObject) -> None:
    channels = [data.draw(st.sampled_from(["direct", "email"])) for _ in days]
    one = order(*zip(sorted(days, reverse=True), channels, strict=True), amounts=[Amount(ORDERED_US, micros, "EUR")])
    orders, money = summed("attribution", one), summed("attributed_revenue", one)
    assert {rule: sum(orders[rule].values()) for rule in RULES} == dict.fromkeys(RULES, 1_000_000)
    assert {rule: sum(money.get(rule, {}).values()) for rule in RULES} == dict.fromkeys(RULES, micros)
