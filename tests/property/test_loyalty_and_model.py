"""From touchpoints to the KPIs of people: fold, facts, rollups and answers give what the plain model counts, at any instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.calendar import Calendar, date_of, day_number
from schemas.times import DAY_US, HOUR_US
from schemas.touchpoint import STAGES, Order
from services.journey.domain.derive import Derived
from services.metrics.answers import Answers, KpiQuestion
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.domain.periods import Grain, Span, periods, spans, start_of
from services.metrics.migrations import HISTORY
from services.metrics.store import generations
from services.metrics.store.checking import check
from services.metrics.store.reading import Reading
from services.metrics.store.tables import METADATA
from services.metrics.store.taking import Taking
from services.shared.bus import Record
from services.shared.db import Database, sqlite_url
from services.shared.migrating import migrate
from tests.model import Touchpoint, loyalty, order_of
from tests.property.folded import derived, published

START = day_number("2026-01-20")
START_US = START * DAY_US
TICK_US = 30 * HOUR_US
"""The unit of time in histories: some are of one day, most are not, and the whole lies on both sides of a quarter's end."""
TIMEOUT_US = 12 * DAY_US
CALENDAR = Calendar()
History = list[Touchpoint]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """What one person did: orders that are placed, changed and cancelled in any order, and other things."""
    history = []
    for number in range(draw(st.integers(0, 9))):
        action = draw(st.sampled_from([None, None, None, *["placed"] * 4, "changed", "cancelled", "refunded"]))
        goal = draw(st.sampled_from([None, None, "compare", "buy"]))
        moment = draw(st.integers(0, 60)) * TICK_US + draw(st.integers(0, 3)) * HOUR_US
        history.append(
            {
                "source": "web",
                "system": "shop",
                "id": str(number),
                "time_us": START_US + moment + 1234,
                "case_rank": 0,
                "channel": draw(st.sampled_from(["web", "app", "mail"])),
                "actor": draw(st.sampled_from(["customer", "customer", "customer", "business"])),
                "stage": draw(st.sampled_from([None, None, *STAGES])) if action is None else None,
                "placed_order": action == "placed",
                "goal": goal,
                "goal_reached": draw(st.sampled_from([None, True, False])) if goal is not None else None,
                "amount": draw(st.none() | st.integers(0, 50)),
                "refund": draw(st.integers(1, 9)),
                "order": None
                if action is None
                else {
                    "order_id": draw(st.sampled_from("12345")),
                    "action": action,
                    "currency": draw(st.sampled_from(["EUR", "EUR", "USD", None])),
                },
            }
        )
    return history


def bought(touchpoint: Touchpoint) -> Derived:
    """The same with what loyalty is about: the channel, what was paid and given back, goals."""
    order = touchpoint["order"]
    return msgspec.structs.replace(
        derived(touchpoint),
        channel=touchpoint["channel"],
        order=Order(**order) if order is not None else None,
        amount_micros=touchpoint["amount"],
        refund_micros=touchpoint["refund"],
        goal=touchpoint["goal"],
        goal_reached=touchpoint["goal_reached"],
    )


def records_of(person: UUID, history: History) -> list[Record]:
    return published(person, map(bought, sorted(history, key=order_of)), TIMEOUT_US)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with closing(Database(sqlite_url(tmp_path_factory.mktemp("loyalty") / "metrics.db"), durable=False)) as opened:
        migrate(opened, HISTORY)
        yield opened


def fill(database: Database, people: Sequence[History]) -> None:
    """Take everybody's facts, with the rollups checked against the facts."""
    with database.transaction() as tx:
        for table in METADATA.tables:
            database.execute(tx, f"DELETE FROM {table}")
        generation = generations.open_generation(database, tx, generations.generation_hash("UTC"))
        records = [record for number, history in enumerate(people) for record in records_of(UUID(int=number), history)]
        Taking(database, CALENDAR).take(tx, generation.number, records)
    with database.snapshot() as tx:
        assert check(database, tx, CALENDAR).mismatches == 0


def rows_of(
    database: Database,
    kpi: str,
    span: Span,
    as_of_us: int,
    grain: Grain = "none",
    window_days: int = 0,
    by: str = "",
    **filters: str,
) -> list[dict[str, Any]]:
    with database.snapshot() as tx:
        split = tuple(by.split(",")) if by else ()
        question = KpiQuestion(KPI_BY_ID[kpi], span, grain, split, filters, as_of_us, window_days)
        return Answers(Reading(database, tx, 1), CALENDAR).kpi(question)


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["numerator"], row["denominator"], row["open"]


spans_of_days = st.tuples(st.integers(-10, 70), st.integers(1, 60)).map(
    lambda drawn: Span(START + drawn[0], START + drawn[0] + drawn[1])
)
as_ofs = st.integers(-5 * 24, 130 * 24).map(lambda hour: START_US + hour * HOUR_US) | st.integers(0, 80).map(
    lambda tick: START_US + tick * TICK_US + 1234
)
calendar_grains = st.sampled_from(["week", "month", "quarter", "year"])
crowds = st.lists(histories(), min_size=1, max_size=4)
slow = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def whole(span: Span, grain: Grain) -> Span:
    """The periods of a grain that a range touches."""
    starts = periods(Span(start_of(span.start, grain), span.end), grain)
    last = starts[-1]
    day = last + 1
    while start_of(day, grain) == last:
        day += 1
    return Span(starts[0], day)


@slow
@given(people=crowds, span=spans_of_days, as_of=as_ofs, grain=calendar_grains, by_order=st.booleans())
def test_who_buys_again_and_who_stays_is_what_the_model_counts(
    database: Database, people: list[History], span: Span, as_of: int, grain: Grain, by_order: bool
) -> None:
    fill(database, people)
    activity = "order" if by_order else "touchpoint"
    asked: tuple[tuple[Grain, Span], ...] = (("none", span), (grain, whole(span, grain)))
    for of_grain, of_span in asked:
        found = {
            kpi: rows_of(database, kpi, of_span, as_of, of_grain) for kpi in ("buyers", "repeat_rate", "repeat_rate_by_orders")
        } | {
            kpi: rows_of(database, kpi, of_span, as_of, of_grain, activity=activity)
            for kpi in ("retention_rate", "churn_rate", "lapsed_people", "new_people", "reactivated_people")
        }
        for i, period in enumerate(spans(of_span, of_grain)):
            buyers, repeated, twice = loyalty.repeats(people, *period, as_of)
            stay = loyalty.retention(people, *period, as_of, activity)
            lost = stay.started - stay.retained
            assert {kpi: told(rows[i]) for kpi, rows in found.items()} == {
                "buyers": (buyers, None, 0),
                "repeat_rate": (repeated, buyers, 0),
                "repeat_rate_by_orders": (twice, buyers, 0),
                "retention_rate": (stay.retained, stay.started, stay.open),
                "churn_rate": (lost, stay.started, stay.open),
                "lapsed_people": (lost, None, stay.open),
                "new_people": (stay.new, None, 0),
                "reactivated_people": (stay.reactivated, None, 0),
            }, date_of(period.start)


@slow
@given(
    people=crowds, span=spans_of_days, as_of=as_ofs, more=st.integers(0, 40), activity=st.sampled_from(["order", "touchpoint"])
)
def test_a_window_longer_than_the_period_is_as_the_model_has_it(
    database: Database, people: list[History], span: Span, as_of: int, more: int, activity: str
) -> None:
    fill(database, people)
    window_days = span.end - span.start + more
    (row,) = rows_of(database, "retention_rate", span, as_of, window_days=window_days, activity=activity)
    stay = loyalty.retention(people, *span, as_of, activity, window_days)
    assert told(row) == (stay.retained, stay.started, stay.open)
    for kpi, number in (("new_people", stay.new), ("reactivated_people", stay.reactivated)):
        (row,) = rows_of(database, kpi, span, as_of, window_days=window_days, activity=activity)
        assert row["value"] == number


@slow
@given(people=crowds, span=spans_of_days, as_of=as_ofs)
def test_what_leads_to_purchases_and_what_they_are_worth_is_what_the_model_counts(
    database: Database, people: list[History], span: Span, as_of: int
) -> None:
    fill(database, people)
    expected = loyalty.purchases(people, *span, as_of, TIMEOUT_US)

    def only(kpi: str) -> tuple[Any, ...]:
        (row,) = rows_of(database, kpi, span, as_of)
        return told(row)

    orders = len(expected.led_up)
    assert only("touchpoints_per_purchase") == (sum(touchpoints for touchpoints, _ in expected.led_up), orders, 0)
    assert only("channels_per_purchase") == (sum(channels for _, channels in expected.led_up), orders, 0)
    many = sum(touchpoints > 4 for touchpoints, _ in expected.led_up)
    assert only("purchases_over_four_touchpoints") == (many, orders, 0)
    assert only("time_to_first_purchase") == (sum(expected.times_ms), len(expected.times_ms), 0)
    assert only("first_time_buyers") == (len(expected.times_ms), None, 0)
    by_month = rows_of(database, "cohort_retention", span, as_of, by="months_since")
    assert {int(row["months_since"]): told(row) for row in by_month if row["numerator"]} == {
        months: (active, len(expected.times_ms), 0) for months, active in expected.active.items()
    }
    worth = rows_of(database, "lifetime_value", span, as_of, by="currency")
    found = {row["currency"]: (row["denominator"], row["numerator"]) for row in worth if row["denominator"]}
    assert {currency: of for currency, of in found.items() if currency is not None} == expected.worth
    stated, reached = loyalty.goals(people, *span, as_of, TIMEOUT_US)
    assert (only("goals_stated"), only("goals_reached")) == ((stated, None, 0), (reached, stated, 0))
    changes = rows_of(database, "channel_switches", span, as_of, by="from_channel,to_channel")
    assert {(row["from_channel"], row["to_channel"]): row["value"] for row in changes} == loyalty.switches(
        people, *span, as_of, TIMEOUT_US
    )


@slow
@given(people=st.lists(histories(), min_size=1, max_size=8), span=spans_of_days, days=st.integers(0, 49))
def test_how_long_journeys_stay_in_a_stage_is_what_the_model_counts(
    database: Database, people: list[History], span: Span, days: int
) -> None:
    """Up to 49 days a bucket of the histogram is one number."""
    sooner = [[one | {"time_us": START_US + (one["time_us"] - START_US) * 3 // 5} for one in history] for history in people]
    fill(database, sooner)
    as_of = START_US + days * DAY_US + 7 * HOUR_US
    expected = loyalty.stays(sooner, *span, as_of, TIMEOUT_US)
    tables = {row["stage"]: row for row in rows_of(database, "median_days_in_stage", span, as_of, by="stage")}
    times = {row["stage"]: row for row in rows_of(database, "time_in_stage", span, as_of, by="stage")}
    for stage, of in expected.items():
        if of.left or of.censored:
            entered = len(of.left) + len(of.censored)
            assert (tables[stage]["numerator"], tables[stage]["denominator"]) == (len(of.left), entered)
            assert tables[stage]["value"] == of.median
            assert (times[stage]["numerator"], times[stage]["denominator"]) == (sum(of.times_ms), len(of.times_ms))
    assert sum(row["denominator"] for row in tables.values()) == sum(len(of.left) + len(of.censored) for of in expected.values())
