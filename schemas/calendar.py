"""Days, hours and months of an installation's time zone, as whole numbers.

A day is counted from 1970-01-01 (0), an hour is `day * 24 + hour on the clock` and a month `year * 12 + month - 1`, all by the wall clock
of the zone: the hour that is passed twice in autumn is one hour.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.opening import week_of
from schemas.times import DAY_US, EPOCH, HOUR_US, MINUTE_US, SECOND_US

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SLOT_US = 15 * MINUTE_US
"""Within a quarter of an hour a zone changes its offset at most once."""

NEVER = -(10**6)
"""A day number before every day there is."""


class Calendar:
    """The wall clock of one time zone, and opening hours by it. Two calendars of one zone and hours are equal in every answer."""

    def __init__(self, time_zone: str = "UTC", opening_hours: str = "") -> None:
        self.time_zone, self.opening_hours = time_zone, opening_hours
        self._zone, self._week = ZoneInfo(time_zone), week_of(opening_hours)
        self._hours_of_day = lru_cache(maxsize=100_000)(self._opened)
        self._open_of_month = lru_cache(maxsize=100_000)(self._month_opened)
        self._offset_of_slot = lru_cache(maxsize=100_000)(self._slot_offset_us)

    def day_of(self, us: int) -> int:
        """The day on which an instant lies."""
        return (us + self._offset_us(us)) // DAY_US

    def hour_of(self, us: int) -> int:
        """The hour in which an instant lies."""
        return (us + self._offset_us(us)) // HOUR_US

    def day_start_us(self, day: int) -> int:
        """The first instant of a day."""
        midnight = datetime.fromordinal(day + _EPOCH_ORDINAL).replace(tzinfo=self._zone)
        start = (midnight.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
        while self.day_of(start) < day:  # the zone jumps over midnight: the day starts later
            start += _SLOT_US
        return start

    def month_of(self, us: int) -> int:
        """The month in which an instant lies."""
        return month_of_day(self.day_of(us))

    def month_start_us(self, month: int) -> int:
        """The first instant of a month."""
        return self.day_start_us(first_day_of_month(month))

    def open_us(self, start_us: int, end_us: int) -> int:
        """How long it is open from one instant to another: by the clock of the zone, also over its changes of offset."""
        if self._week is None or end_us <= start_us:
            return max(0, end_us - start_us)
        first, last = self.day_of(start_us), self.day_of(end_us)
        months = range(month_of_day(first) + 1, month_of_day(last))
        if not months:
            return sum(self._open_within(day, start_us, end_us) for day in range(first, last + 1))
        before = range(first, first_day_of_month(months[0]))
        after = range(first_day_of_month(months[-1] + 1), last + 1)
        edges = sum(self._open_within(day, start_us, end_us) for days in (before, after) for day in days)
        return edges + sum(map(self._open_of_month, months))

    def _open_within(self, day: int, start_us: int, end_us: int) -> int:
        return sum(max(0, min(closes, end_us) - max(opens, start_us)) for opens, closes in self._hours_of_day(day))

    def _month_opened(self, month: int) -> int:
        days = range(first_day_of_month(month), first_day_of_month(month + 1))
        return sum(closes - opens for day in days for opens, closes in self._opened(day))

    def _opened(self, day: int) -> tuple[tuple[int, int], ...]:
        """From and until when it is open on a day. A time that is passed twice opens at the first and closes at the second."""
        hours = self._week.get((day + 3) % 7, ()) if self._week is not None else ()
        return tuple((self._at(day, opens, 0), self._at(day, closes, 1)) for opens, closes in hours)

    def _at(self, day: int, minutes: int, fold: int) -> int:
        """The instant at which the clock of a day shows so many minutes since midnight."""
        try:
            if minutes in (0, 24 * 60):
                return self.day_start_us(day + minutes // (24 * 60))
            local = datetime.fromordinal(day + _EPOCH_ORDINAL) + timedelta(minutes=minutes)
            return (local.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
        except (OverflowError, ValueError):  # at the ends of the years 1 and 9999
            return day * DAY_US + minutes * MINUTE_US

    def _offset_us(self, us: int) -> int:
        if self.time_zone == "UTC":
            return 0
        offset = self._offset_of_slot(us // _SLOT_US)
        return self._offset_at(us) if offset is None else offset

    def _slot_offset_us(self, slot: int) -> int | None:
        first, last = self._offset_at(slot * _SLOT_US), self._offset_at((slot + 1) * _SLOT_US - 1)
        return first if first == last else None

    def _offset_at(self, us: int) -> int:
        try:
            local = datetime.fromtimestamp(us // SECOND_US, self._zone)
        except (OverflowError, ValueError):  # within a day of the years 1 and 9999 the zone may have no date to show
            return 0
        offset = local.utcoffset()
        return 0 if offset is None else offset // timedelta(microseconds=1)


def day_number(text: str) -> int:
    """The number of a day written YYYY-MM-DD."""
    return date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=100_000)
def day_text(day: int) -> str:
    """YYYY-MM-DD."""
    return date_of(day).isoformat()


def date_of(day: int) -> date:
    return date.fromordinal(day + _EPOCH_ORDINAL)


@lru_cache(maxsize=100_000)
def month_of_day(day: int) -> int:
    """The month in which a day lies."""
    if day == NEVER:
        return NEVER
    on = date_of(day)
    return on.year * 12 + on.month - 1


def first_day_of_month(month: int) -> int:
    return date(month // 12, month % 12 + 1, 1).toordinal() - _EPOCH_ORDINAL


def month_number(text: str) -> int:
    """The month written YYYY-MM. Raises ValueError."""
    return month_of_day(day_number(f"{text}-01"))


@lru_cache(maxsize=4096)
def month_text(month: int) -> str:
    """YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
