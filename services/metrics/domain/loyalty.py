"""What orders and active days add to the KPIs of who stays, who leaves and who comes again.

An order day is a calendar day with an order that stands. Each carries the person's order day before it and the one before that, so
distinct people of any period add up: a buyer of a period has one order day in it whose previous one lies before it, and a repeating
buyer one more whose second previous one does. A cancelled order takes back what it added, and what follows it is counted anew, all
from the moment of the cancellation on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from schemas.calendar import NEVER, Calendar
from schemas.facts import OrderFact, Place
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims
from services.metrics.domain.windows import periods_of


class Turn(NamedTuple):
    """From `at_us` on an order has this place (`sign` 1), or has it no more (-1)."""

    at_us: int
    place: Place
    sign: int


def turns(fact: OrderFact) -> Iterator[Turn]:
    """Every change of an order's place among those that stand, in order."""
    for i, place in enumerate(fact.places):
        until_us = fact.places[i + 1].at_us if i + 1 < len(fact.places) else fact.cancelled_us
        yield Turn(place.at_us, place, 1)
        if until_us is not None:
            yield Turn(until_us, place, -1)


def order_days(fact: OrderFact, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    """What an order adds as one of its person's order days."""
    known = "true" if identified else "false"
    day = calendar.day_of(fact.at_us)
    for turn in turns(fact):
        before = _Before.of(turn.place, day, calendar)
        for measure, previous in before.measures():
            yield from _since(measure, turn, day, previous, known, calendar)
        if before.is_first:
            yield from active_day(turn.at_us, day, before.day, ("order", known), turn.sign, calendar)
        yield from _buyers(turn, day, before, ("order", known), calendar)


def active_day(at_us: int, day: int, previous: int, dims: Dims, sign: int, calendar: Calendar) -> Iterator[Contribution]:
    """Who is active on `day`, and was last on `previous`, is active at the end of the periods of that day and at the start of later ones.

    Whether somebody who is active at the start stays is open until the period is over.
    """
    around, after = periods_of(calendar, day)
    for period in around[1:]:
        if previous >= period.start:
            continue
        cube = f"loyalty.{period.grain}"
        if previous >= period.since:
            yield Contribution(cube, "retained", max(at_us, period.end_us), period.start, dims, sign)
        else:
            yield Contribution(cube, "new" if previous == NEVER else "reactivated", at_us, period.start, dims, sign)
    for period in after:
        if previous < period.since:
            cube, over_us = f"loyalty.{period.grain}", max(at_us, period.end_us)
            yield Contribution(cube, "open", max(at_us, period.start_us), period.start, dims, sign)
            yield Contribution(cube, "open", over_us, period.start, dims, -sign)
            yield Contribution(cube, "started", over_us, period.start, dims, sign)


class _Before(NamedTuple):
    """What came before an order: whether it `is_first` on its day, the days of the two order days before that, and those of the two
    orders before it. NEVER: there was none."""

    is_first: bool
    day: int
    second_day: int
    order: int
    second_order: int

    @classmethod
    def of(cls, place: Place, day: int, calendar: Calendar) -> _Before:
        order, second_order, second_day = (
            NEVER if at_us is None else calendar.day_of(at_us)
            for at_us in (place.previous_us, place.second_us, place.day_before_us)
        )
        return cls(order != day, order, second_day, order, second_order)

    def measures(self) -> Iterator[tuple[str, int]]:
        """What is counted by the day before."""
        if self.is_first:
            yield "first", self.day
            yield "second", self.second_day
        yield "second_order", self.second_order


def _since(measure: str, turn: Turn, day: int, previous: int, known: str, calendar: Calendar) -> Iterator[Contribution]:
    """One order day by the day before it. What changes on a later day is kept apart as well: to be left out of what was so before."""
    is_late = calendar.day_of(turn.at_us) != day
    at_us = calendar.day_start_us(day) if is_late else turn.at_us
    yield Contribution("order_days", measure, at_us, previous, (known,), turn.sign)
    if is_late:
        yield Contribution("order_days_late", measure, turn.at_us, day, (str(previous), known), turn.sign)


def _buyers(turn: Turn, day: int, before: _Before, dims: Dims, calendar: Calendar) -> Iterator[Contribution]:
    """Buyers of the calendar periods of a day, and those who bought in them before."""
    for period in periods_of(calendar, day).around:
        cube = f"loyalty.{period.grain}"
        if before.is_first and before.day < period.start:
            yield Contribution(cube, "buyers", turn.at_us, period.start, dims, turn.sign)
        if before.is_first and before.second_day < period.start <= before.day:
            yield Contribution(cube, "repeated", turn.at_us, period.start, dims, turn.sign)
        if before.second_order < period.start <= before.order:
            yield Contribution(cube, "repeated_orders", turn.at_us, period.start, dims, turn.sign)
