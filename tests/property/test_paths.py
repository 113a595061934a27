"""By what two identities are one person: a path of links and sightings exists exactly where the model says that they are one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import combinations, pairwise

import pytest
from hypothesis import HealthCheck, given, settings

from schemas.times import DAY_US
from services.journey.store.paths import Paths, Step
from services.journey.store.resolving import Resolving
from services.shared.db import Database
from tests.builders import START_US, body, link, read, touchpoint, unlink
from tests.model.identity import Identities, is_customer
from tests.model.reading import read_all
from tests.property.journey_store import Record, Store
from tests.property.test_store_and_model import FEW_HANDLES, PEOPLE, Delivery, commands, decided, deliveries, sightings

NOW_US = START_US + 30 * DAY_US


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with closing(Database("sqlite+pysqlite://")) as database:
        yield Store(database)


def path(store: Store, one: str, other: str, limit: int = 100) -> list[Step] | None:
    with store.database.snapshot() as tx:
        return Paths(store.database, tx, Resolving(store.database, tx, limit)).between(one, other, NOW_US)


def kept(store: Store, *records: Record) -> Store:
    store.clear()
    store.take([list(records)])
    return store


def told(steps: list[Step] | None) -> list[str] | None:
    if steps is None:
        return None
    found = [f"{step.one} {'linked' if step.link is not None else 'seen'} {step.other}" for step in steps]
    assert all(step.link is not None or step.sighting is not None for step in steps)
    return found


def owner(model: Identities, identity: str) -> str:
    standing = model.links.stands_for(identity)
    return standing if is_customer(standing) or standing in model.shared else model.owner(standing, NOW_US)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(delivery=deliveries(16, sightings() | commands((*PEOPLE[:2], *FEW_HANDLES)), 8))
def test_there_is_a_path_between_two_exactly_if_they_are_one_person(store: Store, delivery: Delivery) -> None:
    store.clear()
    store.take(delivery.batches, delivery.limit)
    model = Identities(read_all(delivery.everything), delivery.limit, decided(delivery.commands))
    known = {identity for one in model.stored for identity in one["identities"]}
    known |= {identity for one in delivery.commands for identity in one.identities}
    for one, other in combinations(sorted(known), 2):
        steps = path(store, one, other, delivery.limit)
        assert (steps is not None) == (owner(model, one) == owner(model, other))
        if steps is not None:
            assert (steps[0].one, steps[-1].other) == (one, other)
            assert all(before.other == after.one for before, after in pairwise(steps))
            for step in steps:
                check_step(model, step)


def check_step(model: Identities, step: Step) -> None:
    couple = frozenset((step.one, step.other))
    if step.link is not None:
        assert any(couple <= members for members in model.links.classes)
    else:
        assert step.sighting is not None
        assert couple <= set(read(step.sighting.body).identities)
        assert couple not in model.links.parted


def test_a_path_names_the_link_and_the_sighting_that_join(store: Store) -> None:
    seen = [body(touchpoint("1", 0, "customer_id:a", "email:e")), body(touchpoint("2", 0, "email:f", "anonymous_id:v"))]
    kept(store, *seen)
    assert told(path(store, "email:e", "customer_id:a")) == ["email:e seen customer_id:a"]
    assert path(store, "email:f", "customer_id:a") is None
    assert path(store, "email:f", "email:unheard") is None
    kept(store, *seen, link("email:e", "email:f"))
    assert told(path(store, "anonymous_id:v", "customer_id:a")) == [
        "anonymous_id:v seen email:f",
        "email:f linked email:e",
        "email:e seen customer_id:a",
    ]


def test_two_that_were_unlinked_may_still_be_one_through_another(store: Store) -> None:
    seen = [
        body(touchpoint("1", 0, "customer_id:a", "email:e", "anonymous_id:v")),
        body(touchpoint("2", DAY_US, "email:e", "anonymous_id:v")),
    ]
    kept(store, *seen, unlink("email:e", "customer_id:a"))
    assert told(path(store, "email:e", "customer_id:a")) == ["email:e seen anonymous_id:v", "anonymous_id:v seen customer_id:a"]
    kept(store, *seen, unlink("email:e", "customer_id:a"), unlink("email:e", "anonymous_id:v"))
    assert path(store, "email:e", "customer_id:a") is None
