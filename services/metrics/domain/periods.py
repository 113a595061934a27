"""Periods of a question: grains, their boundaries and names, and how a range of days is read in whole months and single days."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol, get_args

from schemas.calendar import date_of, day_number, day_text, first_day_of_month, month_of_day
from services.shared.errors import Rejected

Grain = Literal["hour", "day", "week", "month", "quarter", "year", "none"]
GRAINS: tuple[Grain, ...] = get_args(Grain)
MAX_PERIODS = 10_000


class Span(NamedTuple):
    """Days from `start` up to, not including, `end`."""

    start: int
    end: int


class Asked(Protocol):
    """What of a question decides which rows are read."""

    @property
    def span(self) -> Span: ...
    @property
    def grain(self) -> Grain: ...
    @property
    def as_of_us(self) -> int: ...


class Segment(NamedTuple):
    """Rows of one stored grain (`d`, `m`) with effective (or cohort) numbers from `low` up to, not including, `high`."""

    grain: str
    low: int
    high: int


def parse_span(start: str, end: str, grain: Grain) -> Span:
    """The days of `from` and `to`, both YYYY-MM-DD.

    Raises Rejected: `invalid_date`, `empty_range` (from is not before to), `off_grain` (not on a boundary), `too_many_periods`.
    """
    span = Span(parse_day(start, "from"), parse_day(end, "to"))
    if span.start >= span.end:
        raise Rejected("empty_range", f"`from` ({start}) has to lie before `to` ({end}), which is not included", "/from")
    for name, day in (("from", span.start), ("to", span.end)):
        if start_of(day, grain) != day:
            raise Rejected("off_grain", f"`{name}` ({day_text(day)}) is not the first day of a {grain}", f"/{name}")
    shortest_days = {"hour": 1 / 24, "day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}
    if grain != "none" and (span.end - span.start) / shortest_days[grain] > MAX_PERIODS:
        raise Rejected("too_many_periods", f"an answer has at most {MAX_PERIODS:,} periods; choose a coarser grain", "/grain")
    return span


def parse_day(text: str, name: str) -> int:
    """The number of a day written YYYY-MM-DD. Raises Rejected("invalid_date")."""
    try:
        if len(text) != 10:
            raise ValueError("not ten characters")
        return day_number(text)
    except ValueError:
        raise Rejected("invalid_date", f"write `{name}` as a day, such as 2026-01-31", f"/{name}") from None


@lru_cache(maxsize=65536)
def start_of(day: int, grain: Grain) -> int:
    """The first day of the period of `grain` in which a day lies (weeks begin on Monday); for hour and none the day itself."""
    on = date_of(day)
    if grain == "week":
        return day - on.weekday()
    if grain in ("month", "quarter", "year"):
        month = {"month": on.month, "quarter": (on.month - 1) // 3 * 3 + 1, "year": 1}[grain]
        return day - (on - date(on.year, month, 1)).days
    return day


def periods(span: Span, grain: Grain) -> list[int]:
    """The periods of a span in order: the first day of each, or the hour (`day * 24 + hour`) where the grain is hour."""
    if grain == "none":
        return [span.start]
    if grain == "hour":
        return list(range(span.start * 24, span.end * 24))
    if grain in ("day", "week"):
        return list(range(span.start, span.end, 7 if grain == "week" else 1))
    step = {"month": 1, "quarter": 3, "year": 12}[grain]
    return [first_day_of_month(month) for month in range(month_of_day(span.start), month_of_day(span.end - 1) + 1, step)]


def spans(span: Span, grain: Grain) -> list[Span]:
    """The days of each of these periods; not by the hour."""
    starts = periods(span, grain)
    return [Span(start, end) for start, end in zip(starts, [*starts[1:], span.end], strict=True)]


@lru_cache(maxsize=65536)
def period_name(period: int, grain: Grain) -> str | None:
    """How a period is written: 2026, 2026-Q1, 2026-01, 2026-W05 (ISO), 2026-01-31, 2026-01-31T13; None for none."""
    if grain == "none":
        return None
    if grain == "hour":
        return f"{day_text(period // 24)}T{period % 24:02d}"
    on = date_of(period)
    if grain == "week":
        year, week, _ = on.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return {
        "day": on.isoformat(),
        "month": f"{on.year:04d}-{on.month:02d}",
        "quarter": f"{on.year:04d}-Q{(on.month + 2) // 3}",
        "year": f"{on.year:04d}",
    }[grain]


def segments(span: Span) -> list[Segment]:
    """The same days as whole months where there are any, and single days at the edges. Empty for an empty span."""
    if span.start >= span.end:
        return []
    first_month = month_of_day(span.start - 1) + 1 if span.start > _FIRST_DAY else month_of_day(span.start)
    last_month = month_of_day(span.end)
    if first_month >= last_month:
        return [Segment("d", span.start, span.end)]
    inner_start, inner_end = first_day_of_month(first_month), first_day_of_month(last_month)
    parts = [
        Segment("d", span.start, inner_start),
        Segment("m", first_month, last_month),
        Segment("d", inner_end, span.end),
    ]
    return [part for part in parts if part.low < part.high]


_FIRST_DAY = day_number("0001-01-01")
