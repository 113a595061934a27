"""Days and months of the installation's time zone."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.times import DAY_US, from_datetime, to_datetime

_EPOCH = date(1970, 1, 1)


class Calendar:
    """Which day and month a moment lies in. A month is a whole number, year × 12 + month − 1."""

    def __init__(self, zone: str = "UTC") -> None:
        self._zone = None if zone == "UTC" else ZoneInfo(zone)

    def day(self, at_us: int) -> int:
        """The day of a moment, counted from 1970-01-01."""
        if self._zone is None:
            return at_us // DAY_US
        return (to_datetime(at_us).astimezone(self._zone).date() - _EPOCH).days

    def month(self, at_us: int) -> int:
        return month_of_day(self.day(at_us))

    def month_start_us(self, month: int) -> int:
        """The first moment of a month."""
        first = to_datetime(0).replace(year=month // 12, month=month % 12 + 1, tzinfo=self._zone or UTC)
        return from_datetime(first)


@lru_cache(maxsize=4096)
def month_of_day(day: int) -> int:
    """The month that a day lies in."""
    of = _EPOCH + timedelta(days=day)
    return of.year * 12 + of.month - 1


@lru_cache(maxsize=4096)
def day_text(day: int) -> str:
    """YYYY-MM-DD."""
    return (_EPOCH + timedelta(days=day)).isoformat()


@lru_cache(maxsize=1024)
def month_text(month: int) -> str:
    """YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
