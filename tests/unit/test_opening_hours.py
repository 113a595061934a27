"""How long it was open between two moments, by the clock of a time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar import Calendar
from schemas.opening import week_of
from schemas.times import HOUR_US, MINUTE_US, parse_time_us

BERLIN = "Europe/Berlin"


def open_h(hours: str, start: str, end: str, zone: str = BERLIN) -> float:
    return Calendar(zone, hours).open_us(parse_time_us(start), parse_time_us(end)) / HOUR_US


@pytest.mark.parametrize(
    ("hours", "start", "end", "expected"),
    [
        ("", "2026-03-06T15:00:00Z", "2026-03-09T15:00:00Z", 72),
        ("mon-fri 09:00-17:00", "2026-03-06T15:00:00Z", "2026-03-09T09:00:00Z", 2),
        ("mon-fri 09:00-12:00, mon-fri 13:00-17:00", "2026-03-09T08:00:00Z", "2026-03-09T16:00:00Z", 7),
        ("fri-mon 00:00-24:00", "2026-03-04T00:00:00Z", "2026-03-11T00:00:00Z", 96),
        ("mon-sun 00:00-24:00", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23),  # the day has 23 hours
        ("sun 01:00-04:00", "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z", 2),  # from two to three there is nothing
        ("sun 01:00-04:00", "2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z", 4),  # two to three is passed twice
        ("sun 02:00-03:00", "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z", 0),
        ("mon 09:00-10:00", "2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 105),
        ("mon-sun 00:00-24:00", "0001-01-01T00:00:00Z", "0001-03-05T00:00:00Z", 63 * 24),
        ("mon 09:00-17:00", "2026-03-09T12:00:00Z", "2026-03-09T11:00:00Z", 0),
    ],
)
def test_it_is_open_by_the_clock_on_the_wall(hours: str, start: str, end: str, expected: float) -> None:
    assert open_h(hours, start, end) == expected


@given(
    start=st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 5))
    | st.datetimes(datetime(2026, 10, 20), datetime(2026, 10, 28)),
    minutes=st.integers(0, 6 * 24 * 60),
    zone=st.sampled_from([BERLIN, "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
)
def test_it_is_the_minutes_at_which_the_clock_shows_an_open_time(start: datetime, minutes: int, zone: str) -> None:
    """Counted minute by minute."""
    begin = start.replace(second=0, microsecond=0, tzinfo=ZoneInfo("UTC"))
    shown = ((begin + timedelta(minutes=minute)).astimezone(ZoneInfo(zone)) for minute in range(minutes))
    expected = sum((at.weekday() < 5 and 9 <= at.hour < 17) or (at.weekday() == 6 and 1 <= at.hour < 4) for at in shown)
    start_us = parse_time_us(begin.isoformat())
    found = Calendar(zone, "mon-fri 09:00-17:00, sun 01:00-04:00").open_us(start_us, start_us + minutes * MINUTE_US)
    assert found == expected * MINUTE_US


@pytest.mark.parametrize(
    "text",
    [
        "mon",
        "mon 9:00-17:00",
        "xyz 09:00-10:00",
        "mon 17:00-09:00",
        "mon 09:00-24:01",
        "mon 09:60-10:00",
        "mon-wed 09:00-12:00, tue 11:00-13:00",
    ],
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"like|run from|overlap"):
        week_of(text)
