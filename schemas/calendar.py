"""Days, hours and months of an installation's time zone, as whole numbers.

A day is counted from 1970-01-01 (0), an hour is `day * 24 + hour on the clock` and a month `year * 12 + month - 1`, all by the wall clock
of the zone: the hour that is passed twice in autumn is one hour.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.times import DAY_US, EPOCH, HOUR_US, MINUTE_US, SECOND_US

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SLOT_US = 15 * MINUTE_US
"""Within a quarter of an hour a zone changes its offset at most once."""

NEVER = -(10**6)
"""A day number before every day there is."""


class Calendar:
    """The wall clock of one time zone. Two calendars of one zone are equal in every answer."""

    def __init__(self, time_zone: str = "UTC") -> None:
        self.time_zone = time_zone
        self._zone = ZoneInfo(time_zone)
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
