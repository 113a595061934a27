"""The calendar periods that a day lies in, and those that it comes before by less than their length.

Whether somebody stays from the start of a period to its end is asked of two windows, each as long as the period itself: the one that
ends where the period begins, and the period.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import NamedTuple

from schemas.calendar import Calendar, date_of, day_number
from services.metrics.domain.periods import Grain, start_of

GRAINS: tuple[Grain, ...] = ("day", "week", "month", "quarter", "year")
_MONTHS: dict[Grain, int] = {"month": 1, "quarter": 3, "year": 12}


class Period(NamedTuple):
    """The days from `start` up to, not including, `end`, and the instants at which those two begin."""

    grain: Grain
    start: int
    end: int
    start_us: int
    end_us: int

    @property
    def since(self) -> int:
        """The first day of the window before it."""
        return 2 * self.start - self.end


class Periods(NamedTuple):
    """`around` a day: those that hold it, one of each grain. `after` it: those whose window before them holds it; none of a day's."""

    around: tuple[Period, ...]
    after: tuple[Period, ...]


@lru_cache(maxsize=16_384)
def periods_of(calendar: Calendar, day: int) -> Periods:
    """The periods of a day."""
    around, after = [], []
    for grain in GRAINS:
        period = _period(calendar, start_of(day, grain), grain)
        around.append(period)
        for _ in (1, 2):  # a month of 28 days lies between January's last days and March
            period = _period(calendar, period.end, grain)
            if grain != "day" and period.since <= day:
                after.append(period)
    return Periods(tuple(around), tuple(after))


def _period(calendar: Calendar, start: int, grain: Grain) -> Period:
    end = _next(start, grain)
    return Period(grain, start, end, calendar.day_start_us(start), calendar.day_start_us(end))


def _next(start: int, grain: Grain) -> int:
    """The first day after the period of `grain` that begins on `start`."""
    if grain in ("day", "week"):
        return start + (7 if grain == "week" else 1)
    on = date_of(start)
    month = on.month - 1 + _MONTHS[grain]
    return day_number(date(on.year + month // 12, month % 12 + 1, 1).isoformat())
