"""Two sessions that write at once, interleaved at every statement, keep what one after the other keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import make_url

from schemas.commands import Command
from schemas.touchpoint import Accepted
from services.shared.db import Database
from tests.builders import DAY_US, HOUR_US, body, case, erase, link, order, release, touchpoint, unlink
from tests.contract.stepping import Stepper
from tests.model.reading import read_all
from tests.parts.postgres import Postgres
from tests.property.journey_store import Kept, Record, Store
from tests.property.test_store_and_model import check_journeys, check_owners, differences


class Scene(NamedTuple):
    """What two writers do at once, what was there before, and what comes after."""

    before: Sequence[Accepted | Command]
    one: Sequence[Accepted | Command]
    other: Sequence[Accepted | Command]
    after: Sequence[Accepted | Command] = ()
    limit: int = 100

    def batches(self) -> list[list[Record]]:
        return [records(batch) for batch in (self.before, self.one, self.other, self.after) if batch]


def records(batch: Sequence[Accepted | Command]) -> list[Record]:
    return [one if isinstance(one, Command) else body(one) for one in batch]


VISIT = touchpoint("v1", 0, "anonymous_id:v")
SCENES = {
    "an anonymous touchpoint against the sign-in that moves it": Scene(
        [], [VISIT], [touchpoint("s", DAY_US, "customer_id:a", "anonymous_id:v")]
    ),
    "a known visitor's touchpoint against the sign-in that moves it": Scene(
        [VISIT],
        [touchpoint("v2", DAY_US, "anonymous_id:v"), touchpoint("v3", 40 * DAY_US, "anonymous_id:v", order=order("1"))],
        [touchpoint("s", 2 * DAY_US, "customer_id:a", "anonymous_id:v", order=order("2"))],
    ),
    "two sign-ins on one device": Scene(
        [touchpoint(str(day), day * DAY_US, "device_id:d") for day in (0, 2, 4)],
        [touchpoint("a", DAY_US, "customer_id:a", "device_id:d")],
        [touchpoint("b", 3 * DAY_US, "customer_id:b", "device_id:d")],
    ),
    "two sign-ins on a device whose other user is known": Scene(
        [touchpoint("0", 0, "customer_id:c", "device_id:d"), touchpoint("1", 4 * DAY_US, "device_id:d")],
        [touchpoint("a", DAY_US, "customer_id:a", "device_id:d")],
        [touchpoint("b", 3 * DAY_US, "customer_id:b", "device_id:d")],
    ),
    "a copy against the copy that was received earlier": Scene(
        [],
        [touchpoint("1", 2 * DAY_US, "email:e", received_us=9 * DAY_US)],
        [touchpoint("1", DAY_US, "email:e", "anonymous_id:v"), touchpoint("2", 0, "anonymous_id:v")],
    ),
    "a copy against the copy that knows the customer": Scene(
        [], [touchpoint("1", 0, "email:e")], [touchpoint("1", 0, "customer_id:a", "email:e", received_us=DAY_US)]
    ),
    "copies under strangers who turn out to be one person": Scene(
        [],
        [touchpoint("1", 0, "email:e")],
        [touchpoint("1", 0, "phone:p", received_us=DAY_US)],
        (touchpoint("2", DAY_US, "customer_id:a", "email:e", "phone:p"),),
    ),
    "a message that knows only its ticket against the one that brings the customer": Scene(
        [touchpoint("0", 0, "customer_id:a")],
        [touchpoint("1", DAY_US, case=case("9", "opened"))],
        [touchpoint("2", 2 * DAY_US, "customer_id:a", case=case("9", "resolved"))],
    ),
    "two customers on one case": Scene(
        [touchpoint("0", 2 * DAY_US, case=case("9"))],
        [touchpoint("1", DAY_US, "customer_id:a", case=case("9", "opened"))],
        [touchpoint("2", 40 * DAY_US, "customer_id:b", case=case("9", "resolved"))],
    ),
    "two customers on one order": Scene(
        [touchpoint("0", 0, "customer_id:a"), touchpoint("00", 0, "customer_id:b")],
        [touchpoint("1", 2 * DAY_US, "customer_id:a", order=order("1"))],
        [touchpoint("2", DAY_US, "customer_id:b", order=order("1", "cancelled"))],
    ),
    "a handle that becomes shared against a touchpoint of it": Scene(
        [touchpoint("0", 0, "customer_id:a", "email:e"), touchpoint("1", DAY_US, "email:e", "device_id:d")],
        [touchpoint("2", 2 * DAY_US, "customer_id:b", "email:e")],
        [touchpoint("3", 3 * DAY_US, "email:e", "device_id:d"), touchpoint("4", 3 * DAY_US, "device_id:d")],
        limit=1,
    ),
    "two customers who together make a handle shared": Scene(
        [touchpoint("0", 0, "customer_id:a", "email:e"), touchpoint("1", DAY_US, "email:e", "device_id:d")],
        [touchpoint("2", 2 * DAY_US, "customer_id:b", "email:e")],
        [touchpoint("3", 3 * DAY_US, "customer_id:c", "email:e")],
        limit=2,
    ),
    "a handle that brings a visitor along against its customer": Scene(
        [touchpoint("0", 0, "email:e", "anonymous_id:v"), touchpoint("1", DAY_US, "anonymous_id:v")],
        [touchpoint("2", 2 * DAY_US, "customer_id:a", "email:e")],
        [touchpoint("3", 3 * DAY_US, "anonymous_id:v", "device_id:d"), touchpoint("4", 4 * DAY_US, "device_id:d")],
    ),
    "a device's first delayed request against the punctual one that clears its clock": Scene(
        [touchpoint("0", 0, "device_id:d", received_us=HOUR_US)],
        [touchpoint("1", 0, "device_id:d", sent_us=0, received_us=HOUR_US)],
        [touchpoint("2", HOUR_US, "customer_id:a", "device_id:d", sent_us=HOUR_US)],
    ),
    "a source's clock that turns out to be ahead against touchpoints told by it": Scene(
        [touchpoint("0", 2, "customer_id:a", received_us=2)],
        [touchpoint("1", 4 * HOUR_US, "email:e", sent_us=4 * HOUR_US, received_us=HOUR_US)],
        [touchpoint("2", 3, "customer_id:a", order=order("1")), touchpoint("3", 3, "customer_id:b", sent_us=3, received_us=3)],
    ),
    "a release against the sign-in that moves whom it names": Scene(
        [touchpoint("0", 0, "anonymous_id:v", "email:e")],
        [release("anonymous_id:v", 3 * DAY_US)],
        [touchpoint("1", 2 * DAY_US, "customer_id:a", "email:e"), touchpoint("2", 4 * DAY_US, "customer_id:b", "email:e")],
    ),
    "two that both say that a source's clock is ahead": Scene(
        [touchpoint("0", 0, "customer_id:b")],
        [touchpoint("1", 4 * HOUR_US, "customer_id:a", sent_us=4 * HOUR_US, received_us=HOUR_US)],
        [touchpoint("2", 4 * HOUR_US, "customer_id:b", sent_us=4 * HOUR_US, received_us=3 * HOUR_US)],
    ),
    "a link against an anonymous touchpoint": Scene(
        [touchpoint("0", 0, "email:e", "anonymous_id:v")],
        [touchpoint("1", DAY_US, "anonymous_id:v", "device_id:d"), touchpoint("2", DAY_US, "device_id:d")],
        [link("email:e", "customer_id:a")],
    ),
    "a link against the sign-in that moves what it names": Scene(
        [VISIT, touchpoint("0", 0, "customer_id:b", order=order("1"))],
        [touchpoint("s", DAY_US, "customer_id:a", "anonymous_id:v")],
        [link("customer_id:b", "customer_id:a")],
    ),
    "an unlink against a touchpoint of what it parts": Scene(
        [touchpoint("0", 0, "customer_id:a", "email:e", "anonymous_id:v"), touchpoint("1", DAY_US, "email:e")],
        [touchpoint("2", 2 * DAY_US, "email:e", "device_id:d"), touchpoint("3", 0, "device_id:d")],
        [unlink("customer_id:a", "email:e")],
    ),
    "two links that make three one": Scene(
        [touchpoint(name, 0, f"customer_id:{name}", f"device_id:{name}") for name in "abc"],
        [link("customer_id:a", "customer_id:b")],
        [link("customer_id:c", "customer_id:b"), unlink("customer_id:c", "device_id:c")],
        (touchpoint("1", DAY_US, "device_id:c", "email:e"),),
    ),
}


class Sessions(NamedTuple):
    store: Store
    first: Database
    second: Database


@pytest.fixture(scope="module")
def sessions(postgres: Postgres) -> Iterator[Sessions]:
    url = postgres.new_database()
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(False), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE \"{make_url(url).database}\" SET deadlock_timeout = '20ms'")
    with ExitStack() as stack:
        watcher, first, second = (stack.enter_context(closing(Database(url, "journey", pool_size=1))) for _ in range(3))
        yield Sessions(Store(watcher), first, second)


def interleaved(sessions: Sessions, scene: Scene, statements: int) -> tuple[Kept, bool]:
    """One writer's first statements, then the other's until it is done or in the way, then the rest; whether one still had some."""
    store, watcher = sessions.store, sessions.store.database
    store.clear()
    store.take([records(scene.before)] if scene.before else [], scene.limit)
    one = Stepper(sessions.first, records(scene.one), scene.limit)
    other = Stepper(sessions.second, records(scene.other), scene.limit)
    steps = [one.step(watcher) for _ in range(statements)]
    other.finish(watcher)
    one.finish(watcher)
    other.join()
    one.join()
    store.take([records(scene.after)] if scene.after else [], scene.limit)
    return store.kept(scene.limit), all(steps)


@pytest.mark.parametrize("swapped", [False, True], ids=["", "the other way round"])
@pytest.mark.parametrize("name", SCENES)
def test_interleaved_at_every_statement(sessions: Sessions, name: str, swapped: bool) -> None:
    scene = SCENES[name]
    if swapped:
        scene = scene._replace(one=scene.other, other=scene.one)
    sessions.store.clear()
    sessions.store.take(scene.batches(), scene.limit)
    wanted = sessions.store.kept(scene.limit)
    everything = [record for batch in scene.batches() for record in batch]
    given_set = read_all(record for record in everything if isinstance(record, bytes))
    commands = [record for record in everything if isinstance(record, Command)]
    check_owners(wanted, given_set, scene.limit, commands)
    check_journeys(wanted, given_set, scene.limit, commands)
    statements, has_more = 0, True
    while has_more:
        kept, has_more = interleaved(sessions, scene, statements)
        assert differences(kept, wanted) == {}, f"after {statements} statements"
        statements += 1
    assert statements > 10


ERASED = {
    "an erasure against a touchpoint of the same visitor": Scene(
        [
            VISIT,
            touchpoint("s", DAY_US, "customer_id:a", "anonymous_id:v"),
            touchpoint("o", DAY_US, "customer_id:b", "device_id:d"),
        ],
        [erase(5 * DAY_US, "customer_id:a")],
        [touchpoint("2", 2 * DAY_US, "anonymous_id:v"), touchpoint("3", 3 * DAY_US, "customer_id:a", "device_id:d")],
    ),
    "an erasure against the same person's coming back": Scene(
        [touchpoint("1", 0, "customer_id:a", "email:e")],
        [erase(5 * DAY_US, "customer_id:a")],
        [touchpoint("2", 8 * DAY_US, "customer_id:a", "email:e")],
    ),
}


@pytest.mark.parametrize("swapped", [False, True], ids=["", "the other way round"])
@pytest.mark.parametrize("name", ERASED)
def test_an_erasure_interleaved_at_every_statement(sessions: Sessions, name: str, swapped: bool) -> None:
    scene = ERASED[name]
    sessions.store.clear()
    sessions.store.take(scene.batches(), scene.limit)
    wanted = sessions.store.kept(scene.limit)
    if swapped:
        scene = scene._replace(one=scene.other, other=scene.one)
    statements, has_more = 0, True
    while has_more:
        kept, has_more = interleaved(sessions, scene, statements)
        assert kept.touchpoints == wanted.touchpoints, f"after {statements} statements"
        assert kept.people.keys() == wanted.people.keys(), f"after {statements} statements"
        statements += 1
    assert statements > 10
