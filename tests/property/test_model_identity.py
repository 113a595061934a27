"""The model of identity keeps what DESIGN.md section 6 promises, whatever the touchpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.model import Command, Touchpoint
from tests.model.identity import Identities, anchor_of, key_of, persons, roots

RANKS = ["customer_id", "email", "phone", "anonymous_id", "device_id"]
NAMESPACES = [*RANKS, "order", "case"]


@st.composite
def identity_lists(draw: st.DrawFn) -> list[str]:
    names = draw(st.lists(st.sampled_from(NAMESPACES), min_size=1, max_size=4, unique=True))
    return [f"{name}:{draw(st.sampled_from('abc'))}" for name in sorted(names, key=NAMESPACES.index)]


touchpoints = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["web", "app"]),
        "system": st.just("shop"),
        "id": st.sampled_from([str(n) for n in range(12)]),
        "time_us": st.integers(0, 8),
        "received_us": st.integers(9, 11),
        "digest": st.integers(),
        "identities": identity_lists(),
        "case_rank": st.integers(0, 2),
    }
)
sets = st.lists(touchpoints, max_size=14, unique_by=lambda touchpoint: (touchpoint["received_us"], touchpoint["digest"]))
names = st.builds("{}:{}".format, st.sampled_from(NAMESPACES), st.sampled_from("abc"))
commands = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids().map(str),
            "action": st.sampled_from(["link", "unlink"]),
            "identities": st.lists(names, min_size=2, max_size=2, unique=True),
            "at_us": st.integers(0, 3),
        }
    ),
    max_size=6,
    unique_by=lambda command: command["id"],
)


@given(sets, commands, st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_order_and_repetition_of_the_input_do_not_matter(
    given_set: list[Touchpoint], decided: list[Command], random: Any, limit: int
) -> None:
    shuffled, decided_again = given_set + given_set[: len(given_set) // 2], decided + decided[: len(decided) // 2]
    random.shuffle(shuffled)
    random.shuffle(decided_again)
    assert roots(shuffled, limit, decided_again) == roots(given_set, limit, decided)
    assert persons(shuffled, limit, decided_again) == persons(given_set, limit, decided)


@given(sets, commands, st.data())
def test_the_opposite_command_restores_what_was_before(given_set: list[Touchpoint], decided: list[Command], data: Any) -> None:
    pair = data.draw(st.lists(names, min_size=2, max_size=2, unique=True))
    known = [command for command in decided if set(command["identities"]) == set(pair)]
    before = max(known, key=lambda command: (command["at_us"], command["id"]))["action"] if known else None
    link, unlink = (
        {"id": str(at), "action": action, "identities": pair, "at_us": at} for at, action in ((9, "link"), (8, "unlink"))
    )
    again = {"link": link, "unlink": unlink | {"at_us": 10}}
    if before is not None:
        assert persons(given_set, 100, [*decided, link, unlink, again[before] | {"id": "again"}]) == persons(
            given_set, 100, decided
        )
    seen_together = any(set(pair) <= set(touchpoint["identities"]) for touchpoint in given_set)
    if before is None and not seen_together:
        assert persons(given_set, 100, [*decided, link, unlink | {"at_us": 10}]) == persons(given_set, 100, decided)


@given(sets, commands, st.lists(names, min_size=2, max_size=2, unique=True))
def test_what_is_linked_is_one_person_whatever_the_time(
    given_set: list[Touchpoint], decided: list[Command], pair: list[str]
) -> None:
    linked = Identities(given_set, 100, [*decided, {"id": "last", "action": "link", "identities": pair, "at_us": 9}])
    one, other = (linked.links.stands_for(identity) for identity in pair)
    assert one == other
    assert one in (*pair, *(name for command in decided for name in command["identities"]))


@given(sets, commands)
def test_a_touchpoint_with_a_customer_is_that_customer_s(given_set: list[Touchpoint], decided: list[Command]) -> None:
    stands_for = Identities(given_set, 100, decided).links.stands_for
    for (anchor, _, _), root in roots(given_set, 100, decided).items():
        assert root == stands_for(anchor) or not anchor.startswith("customer_id:")


@given(sets, st.integers(1, 2), commands)
def test_a_root_is_a_customer_or_a_handle_that_was_seen_or_linked(
    given_set: list[Touchpoint], limit: int, decided: list[Command]
) -> None:
    links = Identities(given_set, limit, decided).links
    seen = {links.stands_for(identity) for touchpoint in given_set for identity in touchpoint["identities"]}
    assert set(roots(given_set, limit, decided).values()) <= seen


@given(sets, commands)
def test_a_handle_seen_with_one_customer_only_is_that_customer_s_at_all_times(
    given_set: list[Touchpoint], decided: list[Command]
) -> None:
    identities = Identities(given_set, 100, decided)
    for handle in identities.seen:
        customers = {identities.customer_in(touchpoint) for touchpoint in identities.with_a_customer(handle)}
        if len(customers) == 1 and not handle.startswith("customer_id:"):
            assert {identities.owner(handle, time_us) for time_us in range(-1, 10)} == customers


@given(sets, st.integers(1, 2))
def test_a_shared_handle_owns_nothing_but_what_has_no_better_identity(given_set: list[Touchpoint], limit: int) -> None:
    identities = Identities(given_set, limit)
    for touchpoint in identities.stored:
        root = identities.root(touchpoint)
        if root in identities.shared:
            assert not identities.telling(touchpoint)
            assert root == anchor_of(touchpoint)


@given(sets)
def test_every_touchpoint_is_somebody_s_once(given_set: list[Touchpoint]) -> None:
    owned = persons(given_set)
    for theirs in owned.values():
        ids = [(touchpoint["source"], touchpoint["id"]) for touchpoint in theirs]
        assert len(ids) == len(set(ids))
    pairs = {(touchpoint["source"], touchpoint["id"]) for touchpoint in given_set}
    assert {(t["source"], t["id"]) for theirs in owned.values() for t in theirs} == pairs
    assert {key_of(touchpoint) for theirs in owned.values() for touchpoint in theirs} <= set(roots(given_set))


def seen(id: str, time_us: int, *identities: str) -> Touchpoint:
    return {
        "source": "web", "system": "shop", "id": id, "time_us": time_us, "received_us": time_us, "digest": id,
        "identities": list(identities), "case_rank": 0,
    }  # fmt: skip


def root_of(id: str, given_set: list[Touchpoint], limit: int = 100, decided: Iterable[Command] = ()) -> str:
    return {key[2]: root for key, root in roots(given_set, limit, decided).items()}[id]


def decide(action: str, one: str, other: str, at_us: int = 0) -> Command:
    return {"id": f"{action} {one} {other} {at_us}", "action": action, "identities": [one, other], "at_us": at_us}


def test_a_shared_device_is_split_in_time_between_its_users() -> None:
    day = [
        seen("early", 1, "device_id:d"),
        seen("anna", 3, "customer_id:a", "device_id:d"),
        seen("between", 5, "device_id:d"),
        seen("bert", 7, "customer_id:b", "device_id:d"),
        seen("late", 9, "device_id:d"),
    ]
    assert [root_of(id, day) for id in ("early", "between", "late")] == ["customer_id:a", "customer_id:a", "customer_id:b"]
    assert root_of("between", day, limit=1) == "device_id:d"


def test_an_anonymous_visitor_who_leaves_an_address_and_signs_in_later_brings_the_history_along() -> None:
    visits = [seen("visit", 1, "anonymous_id:v"), seen("letter", 2, "email:e", "anonymous_id:v")]
    assert root_of("visit", visits) == root_of("letter", visits) == "email:e"
    signed_in = [*visits, seen("order", 3, "customer_id:c", "email:e")]
    assert root_of("visit", signed_in) == root_of("letter", signed_in) == "customer_id:c"


def test_a_bridge_reaches_one_level() -> None:
    chain = [
        seen("1", 1, "customer_id:c", "email:e"),
        seen("2", 2, "email:e", "phone:p"),
        seen("3", 3, "phone:p", "anonymous_id:v"),
    ]
    assert [root_of(id, chain) for id in "123"] == ["customer_id:c", "customer_id:c", "customer_id:c"]
    assert root_of("4", [*chain, seen("4", 4, "anonymous_id:v")]) == "phone:p"


def test_a_message_that_knows_only_its_ticket_finds_the_person() -> None:
    case = [seen("opened", 1, "email:e", "case:desk/9"), seen("reply", 2, "case:desk/9")]
    assert root_of("reply", case) == "email:e"


def test_of_two_copies_the_one_received_first_counts() -> None:
    first = seen("1", 5, "email:e")
    retry = seen("1", 5, "email:e") | {"received_us": 6, "digest": "0", "time_us": 4}
    assert persons([retry, first]) == {"email:e": [first]}
    richer = seen("1", 5, "customer_id:c", "email:e") | {"received_us": 7}
    assert persons([first, richer]) == {"customer_id:c": [first]}


def test_customers_joined_by_links_go_by_the_byte_smallest_also_in_a_circle() -> None:
    a, b, c = (f"customer_id:{name}" for name in "abc")
    orders = [seen(id, 1, f"customer_id:{id}") for id in "abc"]
    circle = [decide("link", b, c), decide("link", c, a), decide("link", a, b)]
    assert {root_of(id, orders, decided=circle) for id in "abc"} == {a}
    assert [root_of(id, orders, decided=circle[:1]) for id in "abc"] == [a, b, b]
    parted = [*circle, decide("unlink", a, b, 1)]
    assert root_of("b", orders, decided=parted) == a
    assert root_of("b", orders, decided=[*parted, decide("unlink", a, c, 1)]) == b


def test_a_mistyped_address_is_parted_and_does_not_come_back_through_the_visitor_beside_it() -> None:
    mistyped = seen("1", 1, "customer_id:a", "email:e", "anonymous_id:v")
    letter = seen("2", 2, "email:e")
    parted = [decide("unlink", "email:e", "customer_id:a")]
    assert root_of("2", [mistyped, letter]) == "customer_id:a"
    assert root_of("2", [mistyped, letter], decided=parted) == "email:e"
    assert root_of("1", [mistyped, letter], decided=parted) == "customer_id:a"
    visit = seen("3", 3, "anonymous_id:v")
    assert root_of("3", [mistyped, letter, visit], decided=parted) == "customer_id:a"
    owner = seen("4", 4, "customer_id:b", "email:e")
    assert root_of("2", [mistyped, letter, owner], decided=parted) == "customer_id:b"
    assert root_of("2", [mistyped, letter], decided=[*parted, decide("link", "email:e", "customer_id:a", 1)]) == "customer_id:a"


def test_of_two_parted_handles_neither_brings_the_other_along_nor_outranks_it() -> None:
    letter, visit = seen("1", 1, "email:e", "anonymous_id:v"), seen("2", 2, "anonymous_id:v")
    parted = [decide("unlink", "email:e", "anonymous_id:v")]
    assert root_of("2", [letter, visit]) == "email:e"
    assert root_of("2", [letter, visit], decided=parted) == "anonymous_id:v"
    assert root_of("1", [letter, visit], decided=parted) == "email:e"
    signed_in = [letter, visit, seen("3", 3, "customer_id:c", "email:e")]
    assert root_of("2", signed_in) == "customer_id:c"
    assert root_of("2", signed_in, decided=parted) == "anonymous_id:v"


def test_a_handle_that_is_linked_to_a_customer_brings_what_it_was_seen_with_along() -> None:
    visits = [seen("1", 1, "email:e", "anonymous_id:v"), seen("2", 2, "anonymous_id:v"), seen("3", 3, "customer_id:b", "email:e")]
    linked = [decide("link", "email:e", "customer_id:a")]
    assert [root_of(id, visits, decided=linked) for id in "123"] == ["customer_id:a", "customer_id:a", "customer_id:b"]
    assert root_of("4", [*visits, seen("4", 4, "email:e")], decided=linked) == "customer_id:a"
