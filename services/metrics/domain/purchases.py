"""What orders, goals and days add to the KPIs of what leads up to a purchase, and of what those are worth who first bought then.

A figure by the first purchase is dated on its day. When another order becomes the first, because one was cancelled, everything of that
person moves to its day, from the moment of the cancellation on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from schemas.calendar import Calendar, month_of_day
from schemas.facts import Day, Goal, OrderFact, Place
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cube import Dims
from services.metrics.domain.loyalty import turns
from services.metrics.domain.orders import Worth, worths

MANY = 4
"""Purchases after more touchpoints are counted apart."""


def of_order(fact: OrderFact, calendar: Calendar) -> Iterator[Contribution]:
    """What an order adds."""
    if not fact.places:
        return
    day = calendar.day_of(fact.at_us)
    yield from _led_up_to(fact, day)
    yield from _as_first(fact, day)
    yield from _in_cohort(fact, day, calendar)
    yield from _lifetime(fact, calendar)


def of_goal(fact: Goal, calendar: Calendar) -> Iterator[Contribution]:
    """A goal is dated when it was stated."""
    day, dims = calendar.day_of(fact.at_us), (fact.goal, fact.stage, fact.channel)
    yield Contribution("goals", "stated", fact.at_us, day, dims, 1)
    if fact.reached_us is not None:
        yield Contribution("goals", "reached", fact.reached_us, day, dims, 1)


def of_day(fact: Day) -> Iterator[Contribution]:
    """The customer's changes of channel within a journey."""
    journey, channel = 0, fact.channel_before
    for item in fact.items:
        if item.actor != "customer":
            continue
        if item.journey != journey:
            journey, channel = item.journey, None
        if channel is not None and item.channel != channel:
            yield Contribution("channel_switches", "switches", item.at_us, None, (channel, item.channel), 1)
        channel = item.channel


def _led_up_to(fact: OrderFact, day: int) -> Iterator[Contribution]:
    dims = (fact.stage, fact.channel, fact.source, fact.marketing_channel)
    values = {
        "purchases": 1,
        "touchpoints": fact.touchpoints_before,
        "channels": fact.channels_before,
        "over_four": int(fact.touchpoints_before > MANY),
    }
    for at_us, sign in ((fact.at_us, 1), (fact.cancelled_us, -1)):
        if at_us is not None:
            for measure, value in values.items():
                if value:
                    yield Contribution("purchases", measure, at_us, day, dims, sign * value)


def _as_first(fact: OrderFact, day: int) -> Iterator[Contribution]:
    """While it is the person's first order that stands."""
    dims: Dims = (fact.channel, fact.source, fact.marketing_channel)
    since_us = fact.at_us if fact.began_us is None else fact.began_us
    for at_us, place, sign in turns(fact):
        if place.previous_us is None:
            yield Contribution("first_purchases", "people", at_us, day, dims, sign)
            yield Contribution("first_purchases", "time_ms", at_us, day, dims, (fact.at_us - since_us) // 1000, sign)


def _in_cohort(fact: OrderFact, day: int, calendar: Calendar) -> Iterator[Contribution]:
    """While it is the person's first order in its month, by the months since that of the first purchase."""
    month = month_of_day(day)
    for at_us, place, sign in turns(fact):
        if place.previous_us is None or calendar.month_of(place.previous_us) < month:
            first = calendar.day_of(place.first_us)
            dims = (f"{month - month_of_day(first):02d}",)
            yield Contribution("purchase_cohorts", "active", at_us, first, dims, sign)


class _State(NamedTuple):
    """What an order counts for, from a moment on."""

    worth: Worth
    place: Place


def _lifetime(fact: OrderFact, calendar: Calendar) -> Iterator[Contribution]:
    """An order's worth belongs to the day of the person's first order in its currency; that one brings the person as well."""
    before: _State | None = None
    for at_us, state in _states(fact):
        if state != before:
            for of, sign in ((before, -1), (state, 1)):
                if of is not None and of.worth.orders:
                    yield from _worth(fact, of, at_us, sign, calendar)
        before = state


def _states(fact: OrderFact) -> Iterator[tuple[int, _State]]:
    """Each moment at which its worth or its place changes, with what it is from then on."""
    worth, place = Worth(fact.at_us, None, 0, 0, 0), fact.places[0]
    changed = {one.at_us: one for one in fact.places}
    worth_from = {one.at_us: one for one in worths(fact)}
    for at_us in sorted(changed.keys() | worth_from.keys()):
        worth, place = worth_from.get(at_us, worth), changed.get(at_us, place)
        yield at_us, _State(worth, place)


def _worth(fact: OrderFact, state: _State, at_us: int, sign: int, calendar: Calendar) -> Iterator[Contribution]:
    worth, first_us = state.worth, state.place.first_in_currency_us
    day = calendar.day_of(fact.at_us if first_us is None else first_us)
    measures = (
        ("people", int(first_us is None)),
        ("gross_micros", worth.gross_micros),
        ("refunded_micros", worth.refunded_micros),
    )
    for measure, value in measures:
        if value:
            yield Contribution("lifetimes", measure, at_us, day, (worth.currency,), sign * value)
