"""Deliveries that were kept wrongly once, each against the model and against the tidy order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from schemas.touchpoint import Accepted
from services.shared.db import Database
from tests.builders import DAY_US, body, touchpoint
from tests.property.journey_store import Store
from tests.property.test_store_and_model import Delivery, check


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with closing(Database("sqlite+pysqlite://")) as database:
        yield Store(database)


def check_batches(store: Store, *batches: list[Accepted], limit: int = 100) -> None:
    check(store, Delivery([[body(one) for one in batch] for batch in batches], limit))


def test_a_repeat_beside_a_copy_that_knows_more_counts_once(store: Store) -> None:
    visit = touchpoint("1", 0, "email:e")
    richer = touchpoint("1", 0, "email:e", "customer_id:a", received_us=DAY_US)
    check_batches(store, [visit], [visit, richer])


def test_a_copy_that_was_received_earlier_takes_the_place_of_the_only_evidence(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a", "device_id:d", received_us=DAY_US)],
        [touchpoint("1", 0, "customer_id:a", "device_id:d")],
        [touchpoint("2", 0, "device_id:d")],
    )


def test_evidence_that_moves_in_time_gives_back_what_it_had_won(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a", "device_id:d"), touchpoint("2", 2 * DAY_US, "device_id:d")],
        [touchpoint("3", DAY_US, "customer_id:b", "device_id:d", received_us=9 * DAY_US)],
        [touchpoint("3", 5 * DAY_US, "customer_id:b", "device_id:d")],
    )


def test_evidence_that_is_gone_leaves_the_handle_to_nobody(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a", "device_id:d", received_us=DAY_US), touchpoint("2", 0, "device_id:d")],
        [touchpoint("1", 0, "customer_id:a"), touchpoint("3", 0, "device_id:d")],
    )


def test_a_shared_handle_that_loses_a_customer_identifies_again(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a", "email:e"), touchpoint("2", 0, "customer_id:b", "email:e", received_us=DAY_US)],
        [touchpoint("3", DAY_US, "email:e"), touchpoint("4", DAY_US, "email:e", "device_id:d")],
        [touchpoint("2", 0, "customer_id:b")],
        limit=1,
    )
