"""The opposite of a link or an unlink restores exactly what was there before: every table, facts and states included."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commands import Action, Command
from tests.builders import DAY_US, body, case, link, order, read, touchpoint, unlink
from tests.property.journey_store import Record, Store
from tests.property.test_store_and_model import (
    FEW,
    FEW_HANDLES,
    HANDLES,
    MODERATE,
    PEOPLE,
    Delivery,
    commands,
    decided,
    deliveries,
    differences,
    sightings,
    touchpoints,
)

LATER_US = 100 * DAY_US
OPPOSITE: dict[Action, Action] = {"link": "unlink", "unlink": "link"}
pairs = st.lists(st.sampled_from([*PEOPLE, *HANDLES, "order:shop/1"]), min_size=2, max_size=2, unique=True)
few_pairs = st.lists(st.sampled_from([*PEOPLE[:2], *FEW_HANDLES]), min_size=2, max_size=2, unique=True)


def standing_decision(delivery: Delivery, pair: list[str]) -> Action | None:
    """The newest decision about a pair. "unlink" where there is none and nothing shows the two together: that is the same."""
    known = [one for one in decided(delivery.commands) if set(one["identities"]) == set(pair)]
    if known:
        newest: Action = max(known, key=lambda one: (one["at_us"], one["id"]))["action"]
        return newest
    return None if any(set(pair) <= set(read(raw).identities) for raw in delivery.everything) else "unlink"


def check_restored(store: Store, delivery: Delivery, pair: list[str]) -> None:
    one, other = pair
    store.clear()
    store.take(delivery.batches, delivery.limit)
    before = standing_decision(delivery, pair)
    if before is None:
        before = "unlink"
        store.take([[unlink(one, other, LATER_US)]], delivery.limit)
    wanted = store.kept(delivery.limit)
    store.take([[link(one, other, LATER_US + 1, action=OPPOSITE[before])]], delivery.limit)
    store.take([[link(one, other, LATER_US + 2, action=before)]], delivery.limit)
    assert differences(store.kept(delivery.limit), wanted) == {}


@MODERATE
@given(delivery=deliveries(14, touchpoints() | commands(), 6), pair=pairs)
def test_sqlite_restores_what_was_before(sqlite: Store, delivery: Delivery, pair: list[str]) -> None:
    check_restored(sqlite, delivery, pair)


@settings(FEW, max_examples=20)
@given(delivery=deliveries(14, sightings() | commands((*PEOPLE[:2], *FEW_HANDLES)), 6), pair=few_pairs)
def test_postgresql_restores_what_was_before(postgresql: Store, delivery: Delivery, pair: list[str]) -> None:
    check_restored(postgresql, delivery, pair)


def lives() -> list[Record]:
    """Two customers, each with a device, an order and a history over months; one case of both."""
    found: list[Record] = []
    for name in "ab":
        customer, device = f"customer_id:{name}", f"device_id:{name}"
        found.append(body(touchpoint(f"{name}0", 0, device)))
        found.append(body(touchpoint(f"{name}1", 40 * DAY_US, customer, device)))
        found.append(body(touchpoint(f"{name}2", 80 * DAY_US, customer, order=order(name))))
    found.append(body(touchpoint("c1", 3 * DAY_US, "customer_id:a", case=case("1", "opened"))))
    found.append(body(touchpoint("c2", 50 * DAY_US, "customer_id:b", case=case("1", "resolved"))))
    return found


def test_two_customers_who_are_linked_are_one_person_and_two_again(sqlite: Store) -> None:
    sqlite.clear()
    sqlite.take([lives()])
    before = sqlite.kept()
    assert {root: person[1] for root, person in before.people.items()} == {"customer_id:a": 4, "customer_id:b": 4}
    sqlite.take([[link("customer_id:b", "customer_id:a", DAY_US)]])
    joined = sqlite.kept()
    assert {root: person[1] for root, person in joined.people.items()} == {"customer_id:a": 8}
    assert {root for root, _ in joined.months} == {"customer_id:a"}
    sqlite.take([[unlink("customer_id:a", "customer_id:b", 2 * DAY_US)]])
    assert differences(sqlite.kept(), before) == {}


def test_an_old_unlink_does_not_undo_a_newer_link_whichever_comes_first(sqlite: Store) -> None:
    decisions: list[Command] = [link("email:e", "customer_id:a", 2 * DAY_US), unlink("email:e", "customer_id:a", DAY_US)]
    seen = body(touchpoint("1", 0, "email:e"))
    for order_of_arrival in (decisions, decisions[::-1]):
        sqlite.clear()
        sqlite.take([[seen], *([one] for one in order_of_arrival)])
        assert set(sqlite.kept().people) == {"customer_id:a"}
