"""Whatever was stored, in whatever order: look-ups answer what the plain model of the whole set says, and a recount finds no fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.identity import is_customer
from schemas.vocabulary import load as load_vocabulary
from services.journey.consumer import derivation
from services.journey.domain.state import Key
from services.journey.store.checking import Checking
from services.journey.store.read import Reading
from services.journey.store.resolving import Resolving
from services.shared.config import load
from services.shared.db import Database, sqlite_url
from tests.builders import START_US
from tests.model.identity import Identities, persons
from tests.model.reading import read_all
from tests.property.journey_store import PARTITIONS, RULES, Store
from tests.property.test_store_and_model import BOT, TIMES, Delivery, deliveries

_derive = derivation(load_vocabulary())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("lookups")
    with closing(Database(sqlite_url(folder / "journey.db"), durable=False)) as database:
        yield Store(database)


def stored(store: Store, delivery: Delivery) -> Store:
    store.clear()
    store.take(delivery.batches, delivery.limit, BOT)
    return store


together = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@together
@given(deliveries(), st.sampled_from(TIMES))
def test_every_name_resolves_as_the_model_says_and_is_listed_with_its_owner(store: Store, delivery: Delivery, at_us: int) -> None:
    model = Identities(read_all(delivery.everything), delivery.limit)
    time_us = START_US + at_us
    owners = {name: name if is_customer(name) else model.owner(name, time_us) for name in model.seen}
    with stored(store, delivery).database.snapshot() as tx:
        resolving = Resolving(store.database, tx, delivery.limit)
        found = {}
        for name in owners:
            identity = resolving.find(name)
            assert identity is not None
            found[name] = resolving.name(resolving.root(identity, time_us))
            assert resolving.name(resolving.owned(identity, time_us).root) == found[name]
        assert found == owners
        for root in set(owners.values()):
            fresh = Resolving(store.database, tx, delivery.limit)
            identity = fresh.find(root)
            assert identity is not None
            assert set(fresh.names_of(identity, time_us)) == {name for name, owner in owners.items() if owner == root}


@together
@given(deliveries(), st.integers(1, 3))
def test_the_pages_of_a_person_s_touchpoints_are_the_person_s_touchpoints(store: Store, delivery: Delivery, size: int) -> None:
    people = persons(read_all(delivery.everything), delivery.limit)
    with stored(store, delivery).database.snapshot() as tx:
        reading, resolving = Reading(store.database, tx, PARTITIONS), Resolving(store.database, tx, delivery.limit)
        for root, own in people.items():
            identity = resolving.find(root)
            assert identity is not None
            listed: list[tuple[str, str]] = []
            place: Key | None = None
            while page := reading.newest(identity, place, size):
                assert len(page) <= size
                place = page[-1][0]
                listed += [(derived.source, derived.id) for derived in (_derive(body) for _, body in page)]
            assert listed == [(one["source"], one["id"]) for one in reversed(own)]


@together
@given(deliveries())
def test_a_recount_of_everybody_finds_no_fault(store: Store, delivery: Delivery) -> None:
    chosen = load(partitions=PARTITIONS, shared_handle_customers=delivery.limit, bot_touchpoints=BOT)
    with stored(store, delivery).database.snapshot() as tx:
        checked = Checking(chosen, store.database, tx, RULES, _derive).check(None)
    assert msgspec.to_builtins(checked.examples) == []
    assert checked.mismatches == 0
    assert checked.checked >= len(persons(read_all(delivery.everything), delivery.limit))
