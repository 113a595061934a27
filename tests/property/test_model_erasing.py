"""The model of erasure keeps what DESIGN.md section 6 and docs/decisions/0011 promise, whatever the touchpoints."""

from __future__ import annotations

import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.model import Command, Touchpoint
from tests.model.identity import History, StoredKey, key_of
from tests.property.test_model_identity import RANKS, commands, names, seen, sets, touchpoints

NOW_US = 8
"""The latest time in `sets`."""


def veil(key: StoredKey) -> str:
    return hashlib.sha256("/".join(key).encode()).hexdigest()


def history(*batches: list[Touchpoint], limit: int = 100) -> History:
    told = History(limit, veil)
    for batch in batches:
        told.take(batch)
    return told


def roots(told: History) -> dict[StoredKey, str]:
    identities = told.identities
    return {key_of(touchpoint): identities.root(touchpoint) for touchpoint in told.kept}


identities = st.builds("{}:{}".format, st.sampled_from(RANKS), st.sampled_from("abc"))
customers = st.sampled_from(["customer_id:a", "customer_id:b", "customer_id:c"])
different_times = st.lists(touchpoints, max_size=9, unique_by=lambda touchpoint: touchpoint["time_us"])


@given(sets, identities, st.integers(0, NOW_US), st.integers(1, 3))
def test_nothing_of_the_person_up_to_then_is_left(given_set: list[Touchpoint], name: str, until_us: int, limit: int) -> None:
    told = history(given_set, limit=limit)
    root = told.identities.root_at(name, until_us)
    theirs = {key_of(one) for one in told.kept if told.identities.root(one) == root and one["time_us"] <= until_us}
    told.erase(name, until_us)
    assert theirs <= told.marks.gone
    assert told.refused() == []


@given(different_times, identities, st.integers(1, 3))
def test_an_erasure_moves_nobody_else_s_touchpoint(given_set: list[Touchpoint], name: str, limit: int) -> None:
    """But for prospects who went by a handle of which nothing is left: they are erased as well."""
    told = history(given_set, limit=limit)
    root, before = told.identities.root_at(name, NOW_US), roots(told)
    told.erase(name, NOW_US)
    assert roots(told) == {key: owner for key, owner in before.items() if owner not in {root, *told.marks.wiped}}


@given(sets, st.lists(st.tuples(identities, st.integers(0, NOW_US)), max_size=3), st.lists(st.integers(0, 14), max_size=4))
def test_what_comes_again_changes_nothing(given_set: list[Touchpoint], erasures: list[tuple[str, int]], cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(given_set)]
    told = history(*(given_set[one:other] for one, other in pairwise(places)))
    for name, until_us in erasures:
        told.erase(name, until_us)
    gone, kept = set(told.marks.gone), roots(told)
    told.take(given_set)
    for touchpoint in given_set:
        told.take([touchpoint])
    assert (told.marks.gone, roots(told)) == (gone, kept)


@given(different_times, customers, customers, st.integers(0, NOW_US), st.integers(0, NOW_US))
def test_two_erasures_of_customers_commute(given_set: list[Touchpoint], one: str, other: str, one_us: int, other_us: int) -> None:
    told, turned = history(given_set), history(given_set)
    told.erase(one, one_us)
    told.erase(other, other_us)
    turned.erase(other, other_us)
    turned.erase(one, one_us)
    assert (told.marks.gone, roots(told)) == (turned.marks.gone, roots(turned))


@given(sets, customers, st.integers(0, NOW_US))
def test_an_erasure_that_comes_first_refuses_what_it_would_have_removed(
    given_set: list[Touchpoint], name: str, until_us: int
) -> None:
    first, last = History(100, veil), history(given_set)
    first.erase(name, until_us)
    first.take(given_set)
    last.erase(name, until_us)
    assert (first.marks.gone, roots(first)) == (last.marks.gone, roots(last))


def test_a_family_s_tablet_stays_everybody_else_s() -> None:
    tablet = [
        seen("anna", 1, "customer_id:a", "device_id:d"),
        seen("of anna", 2, "device_id:d"),
        seen("bert", 3, "customer_id:b", "device_id:d"),
        seen("of bert", 4, "device_id:d"),
        seen("bert again", 9, "customer_id:b", "device_id:d"),
    ]
    told = history(tablet)
    told.erase("customer_id:b", 5)
    assert roots(told) == {
        ("customer_id:a", "web", "anna"): "customer_id:a",
        ("device_id:d", "web", "of anna"): "customer_id:a",
        ("customer_id:b", "web", "bert again"): "customer_id:b",
    }
    told.take(
        [seen("late, of bert", 5, "device_id:d"), seen("afterwards", 6, "device_id:d"), seen("late, of anna", 2, "device_id:d")]
    )
    assert roots(told)["device_id:d", "web", "afterwards"] == "device_id:d"
    assert roots(told)["device_id:d", "web", "late, of anna"] == "customer_id:a"
    assert ("device_id:d", "web", "late, of bert") in told.marks.gone


def test_what_a_prospect_left_behind_does_not_come_back_with_a_sign_in() -> None:
    told = history([seen("visit", 1, "anonymous_id:v"), seen("letter", 2, "email:e", "anonymous_id:v")])
    told.erase("anonymous_id:v", 3)
    told.take([seen("sign-in", 5, "customer_id:c", "email:e", "anonymous_id:v")])
    told.take([seen("late", 2, "anonymous_id:v"), seen("later", 3, "email:e"), seen("new", 6, "anonymous_id:v")])
    assert {key[2]: root for key, root in roots(told).items()} == {"sign-in": "customer_id:c", "new": "customer_id:c"}


def test_a_sign_in_that_comes_late_takes_the_visits_along() -> None:
    told = history([seen("visit", 1, "anonymous_id:v"), seen("order", 2, "customer_id:c")])
    told.erase("customer_id:c", 4)
    assert set(roots(told).values()) == {"anonymous_id:v"}
    told.take([seen("sign-in", 3, "customer_id:c", "anonymous_id:v")])
    assert roots(told) == {}


def link(one: str, other: str, at_us: int, action: str = "link") -> Command:
    return {"id": f"{action} at {at_us}", "action": action, "identities": [one, other], "at_us": at_us}


def test_linked_customers_are_erased_together_and_their_link_is_void() -> None:
    told = history([seen("a", 1, "customer_id:a", "email:e"), seen("b", 2, "customer_id:b"), seen("letter", 2, "phone:p")])
    told.decide(link("customer_id:b", "customer_id:a", 3))
    told.decide(link("phone:p", "customer_id:b", 3))
    told.erase("phone:p", 5)
    told.take([seen("late", 4, "customer_id:b"), seen("late letter", 4, "phone:p"), seen("late mail", 4, "email:e")])
    assert roots(told) == {}
    told.take([seen("a again", 6, "customer_id:a"), seen("b again", 7, "customer_id:b"), seen("letter again", 8, "phone:p")])
    told.decide(link("customer_id:a", "customer_id:b", 4))
    assert {key[2]: root for key, root in roots(told).items()} == {
        "a again": "customer_id:a",
        "b again": "customer_id:b",
        "letter again": "phone:p",
    }
    told.decide(link("customer_id:a", "customer_id:b", 9))
    assert set(roots(told).values()) == {"customer_id:a", "phone:p"}


def test_an_unlink_goes_on_protecting_whose_address_was_mistyped() -> None:
    told = history([seen("order", 1, "customer_id:a", "email:e"), seen("letter", 3, "email:e")])
    told.decide(link("customer_id:a", "email:e", 2, "unlink"))
    told.erase("customer_id:a", 5)
    assert {key[2]: root for key, root in roots(told).items()} == {"letter": "email:e"}


@given(sets, commands, names, st.integers(0, NOW_US), st.integers(1, 3))
def test_with_links_too_nothing_is_left_and_nothing_comes_back(
    given_set: list[Touchpoint], decided: list[Command], name: str, until_us: int, limit: int
) -> None:
    told = history(given_set[::2], limit=limit)
    for command in decided[::2]:
        told.decide(command)
    root = told.identities.root_at(name, until_us)
    theirs = {key_of(one) for one in told.kept if told.identities.root(one) == root and one["time_us"] <= until_us}
    told.erase(name, until_us)
    assert theirs <= told.marks.gone
    for command in decided:
        told.decide(command)
    told.take(given_set)
    assert theirs.isdisjoint(roots(told))
    assert told.refused() == []
