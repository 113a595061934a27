"""What each of a person's days adds to the people of any periods: the evidence of what `ranged.py` sums up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from schemas.calendar import NEVER, Calendar
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cube import Cube, Dims
from services.metrics.domain.periods import Asked, Span, spans


class AskedWithin(Asked, Protocol):
    """What of a question decides who is counted. `window` 0: as long as the period."""

    @property
    def window(self) -> int: ...


def of_periods(found: Iterable[Contribution], cube: Cube, question: AskedWithin, calendar: Calendar) -> Iterator[Contribution]:
    """Contributions to the cubes of days, as contributions to a cube `loyalty.*` of the periods asked about."""
    periods = spans(question.span, question.grain)
    for one in found:
        day = _day_of(one, question.as_of_us, calendar)
        if day is None:
            continue
        for span in periods:
            for measure, sign in _measures(day, span, question, calendar):
                yield Contribution(cube.name, measure, day.at_us, span.start, day.dims, sign * day.value)


class _Day(NamedTuple):
    """One measure of an active `day`, by the active day before it."""

    measure: str
    at_us: int
    day: int
    previous: int
    dims: Dims
    value: int


def _day_of(one: Contribution, as_of_us: int, calendar: Calendar) -> _Day | None:
    """What a contribution says of a day. A change that was still to come says that it was not so yet."""
    value = one.value * one.times
    if one.cube in ("order_days", "people_since") and one.at_us <= as_of_us:
        activity = "order" if one.cube == "order_days" else "touchpoint"
        previous = NEVER if one.cohort_day is None else one.cohort_day
        return _Day(one.measure, one.at_us, calendar.day_of(one.at_us), previous, (activity, *one.dims), value)
    if one.cube == "order_days_late" and one.at_us > as_of_us and one.cohort_day is not None:
        start_us = calendar.day_start_us(one.cohort_day)
        if start_us <= as_of_us:
            return _Day(one.measure, start_us, one.cohort_day, int(one.dims[0] or NEVER), ("order", *one.dims[1:]), -value)
    return None


def _measures(of: _Day, span: Span, question: AskedWithin, calendar: Calendar) -> Iterator[tuple[str, int]]:
    """What a day adds to one period, each with its sign."""
    day, previous, (start, end) = of.day, of.previous, span
    is_by_order = of.dims[0] == "order"
    if of.measure in ("second", "second_order"):
        if start <= day < end and previous < start:
            yield "repeated" if of.measure == "second" else "repeated_orders", 1
        return
    window = question.window or end - start
    is_over = calendar.day_start_us(end) <= question.as_of_us
    if start <= day < end and previous < start and is_by_order:
        yield from (("buyers", 1), ("repeated", -1), ("repeated_orders", -1))
    if start <= day < end and previous < start - window:
        yield "new" if previous == NEVER else "reactivated", 1
    if start - window <= day < start and previous < start - window and calendar.day_start_us(start) <= question.as_of_us:
        yield "started" if is_over else "open", 1
    came = start <= day < end and start - window <= previous < end - window
    if is_over and (came or (end - window <= day < start and previous < end - window)):
        yield "retained", 1
