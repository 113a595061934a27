"""Erasures anywhere among touchpoints, links and unlinks leave in the store exactly what the plain model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.commands import Command
from schemas.touchpoint import Accepted
from services.journey.store.checking import Checking
from services.journey.store.hiding import Hidden, Hiding
from services.shared.config import Settings
from tests.builders import DAY_US, START_US, body, erase, link, touchpoint, unlink
from tests.builders import read as read_body
from tests.model.identity import History, key_of
from tests.model.reading import microseconds, read
from tests.property.journey_store import PARTITIONS, RULES, Record, Store
from tests.property.test_store_and_model import (
    FEW,
    PEOPLE,
    Delivery,
    check_journeys,
    decided,
    deliveries,
    differences,
    sightings,
    touchpoints,
)

DEVICES = ["email:e", "anonymous_id:v", "device_id:d"]


@st.composite
def erasures(draw: st.DrawFn, names: Sequence[str] = (*PEOPLE, *DEVICES)) -> Command:
    return erase(draw(st.integers(0, 9)) * DAY_US, draw(st.sampled_from(names)))


@st.composite
def decisions(draw: st.DrawFn, names: Sequence[str] = (*PEOPLE, *DEVICES)) -> Command:
    one, other = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True))
    at_us = draw(st.integers(0, 9)) * DAY_US
    return link(one, other, at_us) if draw(st.booleans()) else unlink(one, other, at_us)


@st.composite
def unclocked(draw: st.DrawFn) -> bytes:
    """A touchpoint that says nothing about its sender's clock."""
    return body(replace(msgspec.json.decode(draw(touchpoints()), type=Accepted), sent_at=None))


@st.composite
def prospects(draw: st.DrawFn) -> Record:
    """A visitor with a mailbox and a device, which customers use as well, and erasures of who goes by the device."""
    who = draw(st.sampled_from(["nobody", "nobody", "a", "a", "b", "erased"]))
    if who == "erased":
        return erase(draw(st.integers(3, 9)) * DAY_US, "device_id:d")
    names = draw(st.sampled_from([["email:e"], ["device_id:d"], ["email:e", "device_id:d"]]))
    at_us = draw(st.integers(0, 7)) * DAY_US
    return body(touchpoint(f"{who}{at_us}", at_us, *names, *([] if who == "nobody" else [f"customer_id:{who}"])))


class Left(NamedTuple):
    """What erasures left in the store, by the names that there were."""

    ghosts: set[str]
    erased: dict[str, int]
    wiped: dict[str, int]
    hidden: set[str]


def left_in(store: Store, hiding: Hiding, names: Sequence[str]) -> Left:
    plain = {hiding.name(name): name for name in names}
    with store.database.snapshot() as tx:
        rows = store.database.execute(tx, "SELECT name, erased_us, wiped_us FROM identity")
        ghosts = {row[0] for row in store.database.execute(tx, "SELECT key FROM ghost")}
    known = [(plain.get(row[0], row[0]), row[1], row[2]) for row in rows]
    assert len({name for name, _, _ in known}) == len(known), "somebody is known twice"
    return Left(
        ghosts,
        {name: us for name, us, _ in known if us is not None},
        {name: us for name, _, us in known if us is not None},
        {plain[row[0]] for row in rows if row[0] in plain},
    )


def hiding_of(store: Store) -> Hiding:
    with store.database.snapshot() as tx:
        return Hidden(store.database).hiding(tx)


def tell(history: History, batch: Sequence[Record]) -> None:
    """A batch as the store takes it: links, erasures, touchpoints."""
    given_commands = [one for one in batch if isinstance(one, Command)]
    for told in decided([one for one in given_commands if one.action != "erase"]):
        history.decide(told)
    known = {one.id: one for one in given_commands if one.action == "erase"}
    for one in sorted(known.values(), key=lambda one: (microseconds(one.at), one.id)):
        if one.id not in history.done:
            history.done.add(one.id)
            history.erase(one.identities[0], microseconds(one.at))
    history.take([read(raw) for raw in batch if isinstance(raw, bytes)])


def check_check(store: Store, limit: int) -> None:
    """The check, which recomputes everything, finds nothing."""
    settings = Settings(partitions=PARTITIONS, shared_handle_customers=limit)
    with store.database.snapshot() as tx:
        checked = Checking(settings, store.database, tx, RULES, read_body).check(None)
    assert checked.examples == [], checked.examples


def check(store: Store, delivery: Delivery) -> History:
    store.clear()
    hiding = hiding_of(store)
    history = History(delivery.limit, lambda key: hiding.touchpoint(*key))
    for batch in delivery.batches:
        store.take([batch], delivery.limit)
        tell(history, batch)
    check_kept(store, history, delivery.limit)
    return history


def check_kept(store: Store, history: History, limit: int) -> None:
    kept, hiding = store.kept(limit), hiding_of(store)
    identities, live = history.identities, history.kept
    assert {key: (root, digest) for key, (root, digest, _) in kept.touchpoints.items()} == {
        key_of(one): (identities.root(one), one["digest"]) for one in live
    }
    names = {name for one in history.arrived for name in one["identities"]} | {*history.marks.erased, *PEOPLE, *DEVICES}
    left = left_in(store, hiding, sorted(names))
    assert left.ghosts == {hiding.touchpoint(*key) for key in history.marks.gone}
    assert left.erased == history.marks.erased
    assert left.wiped == history.marks.wiped
    seen = {name for one in live for name in one["identities"]}
    assert not left.hidden & seen
    people = {identities.root(one) for one in live}
    assert kept.people.keys() == people
    check_journeys_of(kept, history, limit)
    check_check(store, limit)


def check_journeys_of(kept: Any, history: History, limit: int) -> None:
    told = [_as_command(one) for one in history.commands]
    check_journeys(kept, history.arrived, limit, told, history.marks)


def _as_command(one: dict[str, Any]) -> Command:
    first, second = one["identities"]
    at_us = one["at_us"] - START_US
    return link(first, second, at_us) if one["action"] == "link" else unlink(first, second, at_us)


FOUND: Mapping[str, list[list[Record]]] = {
    "a void link parts what is left from who was erased": [
        [body(touchpoint("1", 0, "email:e")), body(touchpoint("2", DAY_US, "email:e")), link("email:e", "customer_id:c", 0)],
        [erase(0, "customer_id:c")],
    ],
    "a link brings what was wiped to somebody's touchpoints": [
        [erase(0, "email:e"), body(touchpoint("1", 0, "email:e")), body(touchpoint("1", 0, "email:e", "customer_id:c"))],
        [link("customer_id:c", "email:e", DAY_US), body(touchpoint("1", 0, "email:e"))],
    ],
    "who went by somebody who goes with an erased person goes too": [
        [body(touchpoint("1", 0, "phone:p")), erase(7 * DAY_US, "phone:p")],
        [body(touchpoint("2", 0, "device_id:d")), body(touchpoint("3", DAY_US, "anonymous_id:v", "device_id:d"))],
        [body(touchpoint("4", 9 * DAY_US, "phone:p", "anonymous_id:v"))],
    ],
    "the last touchpoint that names somebody is displaced by a copy that does not": [
        [body(touchpoint("1", 0, "anonymous_id:v")), body(touchpoint("1", DAY_US, "customer_id:a", "anonymous_id:v"))],
        [erase(0, "customer_id:a")],
        [body(touchpoint("1", 0, "customer_id:a", "email:e"))],
    ],
    "the same, and the copy is kept": [
        [body(touchpoint("1", 0, "anonymous_id:v")), body(touchpoint("1", 9 * DAY_US, "customer_id:a", "anonymous_id:v"))],
        [erase(0, "customer_id:a")],
        [body(touchpoint("1", DAY_US, "customer_id:a", "email:e"))],
    ],
    "copies of one moment are in the order of their names, of which one is lost": [
        [erase(6 * DAY_US, "customer_id:b"), body(touchpoint("1", 0, "email:e"))],
        [body(touchpoint("1", 0, "email:e", "customer_id:a")), body(touchpoint("1", 0, "email:e", "customer_id:b"))],
    ],
    "a handle that becomes shared passes a touchpoint on to one that was wiped": [
        [erase(5 * DAY_US, "device_id:d")],
        [
            body(touchpoint("1", DAY_US, "email:e", "device_id:d")),
            body(touchpoint("2", 8 * DAY_US, "customer_id:a", "device_id:d")),
            body(touchpoint("3", 0, "customer_id:a", "email:e")),
        ],
        [body(touchpoint("4", 6 * DAY_US, "customer_id:b", "email:e"))],
    ],
    "nothing is left of one who was erased before but a link that is void now": [
        [erase(3 * DAY_US, "device_id:d"), body(touchpoint("1", 0, "email:e", "customer_id:a"))],
        [erase(4 * DAY_US, "device_id:d"), link("email:e", "device_id:d", 4 * DAY_US)],
    ],
    "an earlier copy of a ghost without a handle takes it back from those who shared it": [
        [
            body(touchpoint("1", DAY_US, "email:e", "device_id:d")),
            body(touchpoint("2", 8 * DAY_US, "customer_id:c", "device_id:d")),
            body(touchpoint("3", 0, "customer_id:a", "email:e")),
            body(touchpoint("4", 6 * DAY_US, "customer_id:b", "email:e", received_us=7 * DAY_US)),
        ],
        [erase(9 * DAY_US, "customer_id:b")],
        [body(touchpoint("4", 6 * DAY_US, "customer_id:b"))],
    ],
}


@pytest.mark.parametrize("batches", FOUND.values(), ids=FOUND)
def test_what_was_found_once(sqlite: Store, batches: list[list[Record]]) -> None:
    check(sqlite, Delivery(batches, 1))


@FEW
@given(delivery=deliveries(14, sightings() | erasures(), 4))
def test_sqlite_keeps_nothing_of_who_was_erased(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)


@FEW
@given(delivery=deliveries(14, sightings() | decisions() | erasures(), 6))
def test_sqlite_keeps_nothing_of_who_was_erased_whatever_is_linked(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)


@FEW
@given(delivery=deliveries(14, prospects() | decisions(["email:e", "device_id:d", "customer_id:a"]), 6))
def test_what_is_passed_on_from_shared_handles_is_looked_at_again(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery._replace(limit=1))


@FEW
@given(delivery=deliveries(14, unclocked() | erasures(), 4))
def test_sqlite_tells_the_journeys_of_those_who_are_left(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)


@FEW
@given(delivery=deliveries(14, touchpoints() | erasures(), 4))
def test_the_check_finds_nothing_wrong_whatever_clocks_said(sqlite: Store, delivery: Delivery) -> None:
    sqlite.clear()
    sqlite.take(delivery.batches, delivery.limit)
    check_check(sqlite, delivery.limit)


@FEW
@given(delivery=deliveries(14, sightings() | decisions() | erasures(), 6))
def test_postgresql_keeps_nothing_of_who_was_erased(postgresql: Store, delivery: Delivery) -> None:
    check(postgresql, delivery)


@FEW
@given(delivery=deliveries(14, sightings() | erasures(), 4))
def test_a_replay_of_everything_brings_nothing_back(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)
    before = sqlite.kept(delivery.limit)
    sqlite.take([[raw for raw in delivery.everything if isinstance(raw, bytes)]], delivery.limit)
    sqlite.take(delivery.batches, delivery.limit)
    assert differences(sqlite.kept(delivery.limit), before) == {}
