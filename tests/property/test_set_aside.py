"""People who are set aside cost as much as anybody, however many touchpoints they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Row

from services.journey.store.people import unpack
from services.journey.store.refolding import SLICE
from services.journey.store.relaying import UnpublishedMonths
from services.shared.db import Database, Keys
from tests.builders import DAY_US, HOUR_US, MINUTE_US, body, erase, order, release, touchpoint
from tests.property.journey_store import PARTITIONS, Record, Store
from tests.property.test_store_and_model import differences

LIMIT = 200
"""A person with more touchpoints than this is set aside in these tests."""


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Database("sqlite+pysqlite://")) as database:
        yield Store(database)


@contextmanager
def steps(database: Database) -> Iterator[list[int]]:
    """How many steps (in tens) SQLite's machine takes meanwhile: what is loaded, looked through and written, whatever the time it takes."""
    taken = [0]

    def step() -> None:
        taken[0] += 1

    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(step, 10)
    yield taken
    driver.set_progress_handler(None, 0)


def page(first: int, size: int = 20, names: tuple[str, ...] = ("customer_id:bot", "device_id:d")) -> list[bytes]:
    return [body(touchpoint(f"{number}", number * MINUTE_US, *names)) for number in range(first, first + size)]


def cost(store: Store, batch: list[bytes]) -> int:
    with steps(store.database) as taken:
        store.take([batch], bot_touchpoints=LIMIT)
    return taken[0]


def test_the_next_touchpoints_of_a_person_who_is_set_aside_cost_the_same_however_many_there_are(store: Store) -> None:
    store.take([page(first) for first in range(0, LIMIT + 40, 20)], bot_touchpoints=LIMIT)
    early = cost(store, page(1000))
    store.take([page(first, 500) for first in range(2000, 6000, 500)], bot_touchpoints=LIMIT)
    late = cost(store, page(10_000))
    assert early > 0
    assert late <= 1.1 * early
    kept = store.kept()
    assert kept.people["customer_id:bot"][1:3] == (LIMIT + 40 + 20 + 4000 + 20, True)
    assert not kept.months


def test_late_ones_cost_the_same_too(store: Store) -> None:
    store.take([page(first) for first in range(0, LIMIT + 40, 20)], bot_touchpoints=LIMIT)
    early = cost(store, page(-5000))
    store.take([page(first, 500) for first in range(2000, 6000, 500)], bot_touchpoints=LIMIT)
    assert cost(store, page(-10_000)) <= 1.1 * early


class Counting(Database):
    """Notes how many rows a statement gave at most."""

    most_rows = 0

    def execute(
        self, tx: Connection, sql: str, params: Mapping[str, object] | None = None, **keys: Keys
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        rows = super().execute(tx, sql, params, **keys)
        self.most_rows = max(self.most_rows, len(rows))
        return rows


def history(size: int) -> list[bytes]:
    """A busy person's touchpoints, among them orders that others amend, some at one moment, some with copies under another name."""
    found = []
    for number in range(size):
        at_us = number // 3 * HOUR_US
        names = ("customer_id:bot", "device_id:d") if number % 5 else ("device_id:d",)
        facets = {"order": order(str(number // 40))} if number % 20 == 0 else {}
        found.append(body(touchpoint(str(number), at_us, *names, **facets)))
        if number % 100 == 0:
            found.append(body(touchpoint(f"other {number}", at_us, "customer_id:b", order=order(str(number // 40), "refunded"))))
            found.append(body(touchpoint(str(number), at_us, "email:e", "device_id:d", received_us=at_us + DAY_US)))
    return found


def test_whoever_is_released_late_is_told_as_if_never_set_aside_and_read_slice_by_slice() -> None:
    sent = history(2 * SLICE + 500)
    batches = [sent[first : first + 500] for first in range(0, len(sent), 500)]
    with closing(Counting("sqlite+pysqlite://")) as database:
        store = Store(database)
        store.take([[release("customer_id:bot")], *batches], bot_touchpoints=LIMIT)
        wanted = store.kept()
        store.clear()
        store.take(batches, bot_touchpoints=LIMIT)
        assert store.kept().people["customer_id:bot"][2]
        database.most_rows = 0
        store.take([[release("device_id:d")]], bot_touchpoints=LIMIT)
        assert 0 < database.most_rows <= SLICE
        kept = store.kept()
        assert not kept.people["customer_id:bot"][2]
        assert differences(kept, wanted._replace(released=kept.released)) == {}


def test_a_month_too_large_sets_its_person_aside_until_it_fits(store: Store) -> None:
    sent = [body(touchpoint(str(number), number * MINUTE_US, "customer_id:a", order=order(str(number)))) for number in range(40)]
    moved = [touchpoint(str(n), -30 * DAY_US, "customer_id:a", received_us=-1, order=order(str(n))) for n in range(20)]
    store.take([sent])
    with store.database.snapshot() as tx:
        ((facts,),) = store.database.execute(tx, "SELECT facts FROM month")
    most_bytes = len(unpack(facts)) * 3 // 4
    store.clear()
    store.take([sent[:20], sent[20:]], most_bytes=most_bytes)
    assert store.kept().people["customer_id:a"][2:4] == (False, True)
    assert set(unpublished(store).values()) == {None}
    store.take([[body(touchpoint("b", 0, "customer_id:b"))]], most_bytes=most_bytes)
    assert not store.kept().people["customer_id:b"][3]
    store.take([[body(one) for one in moved]], most_bytes=most_bytes)
    assert store.kept().people["customer_id:a"][2:4] == (False, False)
    assert len(unpublished(store)) == 2
    assert None not in unpublished(store).values()


def unpublished(store: Store) -> dict[int, bytes | None]:
    """What the relay is to publish of customer a, by month."""
    person = store.kept().people["customer_id:a"][0]
    with store.database.snapshot() as tx:
        months = UnpublishedMonths(store.database).read(tx, range(PARTITIONS), 100)
        return {month.month: month.facts for month in months if month.person_id == person}


def test_a_release_of_somebody_who_is_erased_later_does_not_hold_for_who_comes_back(store: Store) -> None:
    days: list[Record] = [body(touchpoint(f"{day}", day * DAY_US, "customer_id:bot")) for day in range(12)]
    ways: list[list[list[Record]]] = [
        [[release("customer_id:bot", DAY_US)], days[:6], [erase(5 * DAY_US, "customer_id:bot")], days[6:]],
        [[erase(5 * DAY_US, "customer_id:bot")], days, [release("customer_id:bot", DAY_US)]],
    ]
    for batches in ways:
        store.clear()
        store.take(batches, bot_touchpoints=5)
        assert store.kept().people["customer_id:bot"][1:3] == (6, True)
    store.take([[release("customer_id:bot", 9 * DAY_US)]], bot_touchpoints=5)
    assert store.kept().people["customer_id:bot"][1:3] == (6, False)
