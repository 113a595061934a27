"""The one way to read and write a time: whole microseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from services.shared.errors import Rejected

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
_MICROSECOND = timedelta(microseconds=1)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_YEAR_1_US = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // _MICROSECOND
_YEAR_10000_US = (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH) // _MICROSECOND + DAY_US


def parse_time_us(text: str, pointer: str = "") -> int:
    """Microseconds of an RFC 3339 time with an offset; what is finer than a microsecond is cut.

    Raises Rejected("invalid_time") at `pointer` for anything else, also outside the years 1–9999 in UTC.
    """
    since = _parse(text, pointer) - EPOCH
    us = (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds
    if not _YEAR_1_US <= us < _YEAR_10000_US:
        raise Rejected("invalid_time", "the time lies outside the years 1 to 9999 in UTC", pointer)
    return us


def check_time(text: str, pointer: str = "") -> None:
    """Raises what `parse_time_us` would raise, for less than half its cost."""
    if not 1 < _parse(text, pointer).year < 9999:
        parse_time_us(text, pointer)


def _parse(text: str, pointer: str) -> datetime:
    if not _RFC_3339.fullmatch(text):
        raise Rejected("invalid_time", "write the time as RFC 3339 with an offset, such as 2026-11-21T09:30:00.123Z", pointer)
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise Rejected(
            "invalid_time", f"there is no such time as {text!r} ({error}); check year, month, day and hour", pointer
        ) from None


def to_datetime(us: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def from_datetime(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - EPOCH) // _MICROSECOND


def format_time(us: int) -> str:
    """RFC 3339 in UTC with a Z; six decimals, or none for whole seconds."""
    text = to_datetime(us).isoformat()
    return text.removesuffix("+00:00") + "Z"
