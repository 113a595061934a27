"""Deliveries that were kept wrongly once, each against the model and against the tidy order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from schemas.touchpoint import Accepted
from services.shared.db import Database
from tests.builders import DAY_US, HOUR_US, body, case, order, touchpoint
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


def test_a_person_who_loses_the_newest_month_goes_on_from_the_one_before(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a", "email:e"), touchpoint("2", 25 * DAY_US, "email:e")],
        [touchpoint("3", 25 * DAY_US, "customer_id:b", "email:e")],
        [touchpoint("4", HOUR_US, "customer_id:a")],
    )


def test_a_case_is_one_person_s_though_copies_of_its_first_message_are_two_persons(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a", case=case("1"))],
        [touchpoint("1", DAY_US, "customer_id:b", case=case("1"))],
        [touchpoint("2", 2 * DAY_US, "customer_id:b", case=case("1", "resolved"))],
    )


def test_somebody_else_s_message_is_heard_once_though_it_has_copies(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a", order=order("1"))],
        [touchpoint("2", 30 * DAY_US, "customer_id:b", order=order("1", "refunded"))],
        [touchpoint("2", 30 * DAY_US, "customer_id:c", order=order("1", "refunded"), received_us=31 * DAY_US)],
        [touchpoint("2", 60 * DAY_US, "customer_id:a", order=order("1", "refunded"), received_us=60 * DAY_US)],
        [touchpoint("3", 20 * DAY_US, "customer_id:a", order=order("1", "changed", "12.00"))],
    )


def test_a_late_touchpoint_finds_the_case_that_others_had_opened_before_the_person_came_to_it(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "customer_id:a"), touchpoint("2", DAY_US, "customer_id:b", case=case("1"))],
        [touchpoint("3", 30 * DAY_US, "customer_id:a"), touchpoint("4", 60 * DAY_US, "customer_id:a", case=case("1"))],
        [touchpoint("5", HOUR_US, "customer_id:a")],
    )


def test_a_month_in_which_only_others_spoke_is_gone_with_the_case_that_they_spoke_about(store: Store) -> None:
    check_batches(
        store,
        [touchpoint("1", 0, "email:e"), touchpoint("2", 0, "phone:p", case=case("1")), touchpoint("3", 0, "email:e", "phone:p")],
        [touchpoint("4", 60 * DAY_US, case=case("1"))],
        [touchpoint("5", 0, "customer_id:a", case=case("1"))],
    )
