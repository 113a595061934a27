"""People who are set aside cost as much as anybody, however many touchpoints they have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from services.shared.db import Database
from tests.builders import MINUTE_US, body, touchpoint
from tests.property.journey_store import Store

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
