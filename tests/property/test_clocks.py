"""Clocks put right (docs/decisions/0012): through the store, in any order, as the plain model of the whole set says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import SECOND_US, parse_time_us
from schemas.touchpoint import Accepted
from services.journey.store.checking import Checking
from services.shared.config import Settings
from tests.builders import DAY_US, HOUR_US, MINUTE_US, START_US, body, case, touchpoint
from tests.builders import read as derive
from tests.property.journey_store import RULES, Store
from tests.property.test_store_and_model import FEW, MODERATE, Delivery, check, deliveries

CLOCKS_US = [0, 0, 0, -HOUR_US, HOUR_US, -40 * SECOND_US, 61 * SECOND_US, -200, 3 * 366 * DAY_US]
"""What a clock may be off by: what is added to it gives the time."""
DELAYS_US = [0, 1, 500, 30 * SECOND_US, 2 * MINUTE_US, HOUR_US, DAY_US]
"""How long something may be on its way."""


@st.composite
def touchpoints(draw: st.DrawFn) -> bytes:
    """One touchpoint by one of a few clocks, received on one of a few days, often hours after it happened."""
    names = draw(st.sampled_from([["device_id:d"], ["anonymous_id:v"], ["anonymous_id:v", "device_id:d"], ["email:e"], []]))
    who = draw(st.sampled_from([[], [], ["customer_id:a"], ["customer_id:b"]]))
    off_us = draw(st.sampled_from(CLOCKS_US))
    sent_us = draw(st.integers(0, 5)) * DAY_US + draw(st.integers(0, 20)) * SECOND_US
    happened_us = sent_us - draw(st.sampled_from([0, 1, MINUTE_US, HOUR_US, DAY_US, 40 * DAY_US]))
    return body(
        touchpoint(
            draw(st.sampled_from("12345678")),
            happened_us - off_us,
            *(names + who or ["customer_id:a"]),
            source=draw(st.sampled_from(["web", "web", "desk"])),
            received_us=sent_us + draw(st.sampled_from(DELAYS_US)),
            sent_us=draw(st.none() | st.just(sent_us - off_us)),
            case=draw(st.none() | st.just(case("1"))),
        )
    )


def times(store: Store) -> dict[str, int]:
    """The times that count, after START_US, by id."""
    with store.database.snapshot() as tx:
        return {row[0]: row[1] - START_US for row in store.database.execute(tx, "SELECT id, time_us FROM touchpoint")}


def kept_times(store: Store, *batches: Sequence[Accepted]) -> dict[str, int]:
    store.clear()
    store.take([[body(one) for one in batch] for batch in batches])
    return times(store)


def check_finds_nothing(store: Store, limit: int = 100) -> None:
    with store.database.snapshot() as tx:
        checked = Checking(Settings(shared_handle_customers=limit), store.database, tx, RULES, derive).check(None)
    assert checked.checked > 0
    assert checked.examples == []


@MODERATE
@given(delivery=deliveries(14, touchpoints()))
def test_sqlite_keeps_the_times_that_the_model_says_whatever_the_order(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)
    check_finds_nothing(sqlite, delivery.limit)


@FEW
@given(delivery=deliveries(14, touchpoints()))
def test_postgresql_keeps_the_times_that_the_model_says_whatever_the_order(postgresql: Store, delivery: Delivery) -> None:
    check(postgresql, delivery)
    check_finds_nothing(postgresql, delivery.limit)


@st.composite
def days_of_one_device(draw: st.DrawFn) -> list[bytes]:
    """What one device sends within a day of receipt, each after it happened, by a clock that is off and perhaps jumps, in any order."""
    off_us = draw(st.integers(-3 * HOUR_US, 3 * HOUR_US) | st.sampled_from(CLOCKS_US))
    sent = []
    for number in range(draw(st.integers(2, 8))):
        sent_us = draw(st.integers(0, 10 * MINUTE_US)) - off_us
        happened_us = sent_us - draw(st.integers(0, HOUR_US))
        arrived_us = sent_us + off_us + draw(st.integers(0, 2 * HOUR_US))
        sent.append(touchpoint(str(number), happened_us, "device_id:d", received_us=arrived_us, sent_us=sent_us))
    return [body(one) for one in sent]


@MODERATE
@given(sent=days_of_one_device())
def test_the_order_of_one_device_s_touchpoints_within_a_day_never_changes(sqlite: Store, sent: list[bytes]) -> None:
    sqlite.clear()
    sqlite.take([[one] for one in sent])
    right = times(sqlite)
    happened = {derived.id: derived.occurred_us for derived in map(derive, sent)}
    for one in happened:
        for other in happened:
            if (happened[one] or 0) < (happened[other] or 0):
                assert right[one] < right[other]
    received = {derived.id: derived.received_us - START_US for derived in map(derive, sent)}
    assert all(right[one] <= received[one] for one in right)


@MODERATE
@given(
    punctual=st.lists(st.integers(0, 23 * HOUR_US), min_size=1, max_size=5),
    late_us=st.integers(0, 11 * HOUR_US),
    wait_us=st.integers(0, 12 * HOUR_US),
)
def test_a_delayed_retry_among_punctual_requests_moves_nothing(
    sqlite: Store, punctual: list[int], late_us: int, wait_us: int
) -> None:
    midnight_us = -12 * HOUR_US
    given_times = {str(number): midnight_us + at_us for number, at_us in enumerate(punctual)}
    batches = [
        [touchpoint(id, at_us, "device_id:d", sent_us=at_us, received_us=at_us + 200_000)] for id, at_us in given_times.items()
    ]
    at_us = midnight_us + late_us
    retry = touchpoint("retry", at_us, "device_id:d", sent_us=at_us, received_us=at_us + wait_us)
    assert kept_times(sqlite, [retry], *batches) == {**given_times, "retry": at_us}
    assert kept_times(sqlite, *batches, [retry]) == {**given_times, "retry": at_us}


@pytest.mark.parametrize("names", [["device_id:d"], ["anonymous_id:v", "customer_id:a"], ["customer_id:a"]], ids=" ".join)
@pytest.mark.parametrize("off_us", [HOUR_US, -HOUR_US, 90 * SECOND_US, -90 * SECOND_US])
def test_a_clock_that_is_off_is_put_right(sqlite: Store, off_us: int, names: list[str]) -> None:
    def sent(id: str, at_us: int, way_us: int, *, says: bool = True) -> Accepted:
        clock_us = at_us - off_us
        return touchpoint(id, clock_us - MINUTE_US, *names, received_us=at_us + way_us, sent_us=clock_us if says else None)

    right = {"1": HOUR_US - MINUTE_US, "2": 2 * HOUR_US - MINUTE_US, "3": 3 * HOUR_US - MINUTE_US, "4": 4 * HOUR_US - MINUTE_US}
    one = [sent("1", HOUR_US, 150_000), sent("2", 2 * HOUR_US, 80_000)]
    other = [sent("3", 3 * HOUR_US, 2 * HOUR_US), sent("4", 4 * HOUR_US, 0, says=False)]
    assert kept_times(sqlite, one, other) == kept_times(sqlite, other, one) == right


def test_a_clock_set_right_in_the_middle_of_a_day_harms_that_day_and_those_beside_it(sqlite: Store) -> None:
    wrong_us = 2 * HOUR_US
    days = range(-3, 4)
    before = [
        touchpoint(f"b{day}", day * DAY_US - HOUR_US - wrong_us, "device_id:d", received_us=day * DAY_US - HOUR_US)
        for day in days
        if day <= 0
    ]
    for one in before:
        one.sent_at = one.occurred_at
    after = [touchpoint(f"a{day}", day * DAY_US + HOUR_US, "device_id:d") for day in days if day >= 0]
    for one in after:
        one.sent_at = one.occurred_at
    kept = kept_times(sqlite, after, before)
    assert {id: kept[id] for id in kept if id.startswith("a")} == {f"a{day}": day * DAY_US + HOUR_US for day in days if day >= 0}
    as_sent = {id for id in kept if id.startswith("b") and kept[id] == int(id[1:]) * DAY_US - HOUR_US - wrong_us}
    right = {id for id in kept if id.startswith("b") and kept[id] == int(id[1:]) * DAY_US - HOUR_US}
    assert (as_sent, right) == ({"b0", "b-1"}, {"b-2", "b-3"})


def test_a_copy_that_is_displaced_says_nothing_of_its_clock_any_more(sqlite: Store) -> None:
    behind = touchpoint("1", 0, "device_id:d", sent_us=0, received_us=HOUR_US)
    copy = touchpoint("2", 0, "device_id:d", sent_us=0, received_us=0)
    earlier = touchpoint("2", 0, "device_id:d", received_us=-1)
    assert kept_times(sqlite, [behind], [copy]) == {"1": 0, "2": 0}
    assert kept_times(sqlite, [behind], [copy], [earlier])["1"] == HOUR_US
    check_finds_nothing(sqlite)


@pytest.mark.parametrize("names", [["device_id:d"], ["email:e"]], ids=" ".join)
def test_clocks_of_other_ages_overflow_nothing(sqlite: Store, names: list[str]) -> None:
    first, last = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
    raw = [
        body(touchpoint(f"{n}", 0, *names, received_us=n * 9 * DAY_US)).replace(
            b'"received_at"', f'"sent_at":"{sent}","received_at"'.encode()
        )
        for n, sent in enumerate((first, last, first, last))
    ]
    ancient = [
        body(touchpoint(f"x{n}", 0, *names)).replace(b'"2026-01-10T12:00:00Z","received_at"', f'"{at}","received_at"'.encode())
        for n, at in enumerate((first, last))
    ]
    assert parse_time_us(last) - parse_time_us(first) > 9000 * 365 * DAY_US
    check(sqlite, Delivery([[one] for one in [*raw, *ancient]], 100))
    check_finds_nothing(sqlite)


def test_the_check_finds_a_clock_that_was_tampered_with(sqlite: Store) -> None:
    for sql in (
        "UPDATE clock_day SET least_us = 7",
        "DELETE FROM clock_day",
        "UPDATE touchpoint SET original_us = original_us - 1",
    ):
        kept_times(sqlite, [touchpoint("1", 0, "device_id:d", sent_us=0, received_us=HOUR_US)])
        with sqlite.database.transaction() as tx:
            sqlite.database.execute(tx, sql)
        with sqlite.database.snapshot() as tx:
            assert Checking(Settings(), sqlite.database, tx, RULES, derive).check(None).mismatches > 0, sql
