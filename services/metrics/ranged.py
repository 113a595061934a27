"""People of any range of days: who bought in it, and who was active in it and in the window of the same length before it.

Distinct people add up over any days by the active day before each: of a person's active days in a range exactly one has its previous
one before it. The measures are those of the cubes `loyalty.*`, which hold the same for calendar periods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from schemas.calendar import NEVER, Calendar, first_day_of_month, month_of_day
from services.metrics.domain.cubes import BY_NAME, Cube, Dims
from services.metrics.domain.periods import Segment, Span, segments
from services.metrics.domain.rollups import Cell, Values
from services.metrics.figures import Figures, add_to, before, cut
from services.metrics.store.reading import Place, Reading
from services.shared.errors import Rejected

NOTHING = (0, 0, 0)
EVER = NEVER + 1
"""Everything before it is no day at all."""
MEASURES = BY_NAME["loyalty.month"].measures


class Ranged:
    """Answers for any ranges of days, as of one instant."""

    def __init__(self, reading: Reading, calendar: Calendar, as_of_us: int, activities: Iterable[str]) -> None:
        self._calendar, self._as_of_us = calendar, as_of_us
        self._days = [_Days(reading, calendar, as_of_us, activity) for activity in activities]

    def over(self, span: Span, window_days: int = 0) -> Figures:
        """Figures by (activity, identified), with the measures of `loyalty.*`. Windows are as long as the span, unless given.

        Raises Rejected("window_too_short") for a window that is shorter than the span.
        """
        window_days = window_days or span.end - span.start
        if window_days < span.end - span.start:
            raise Rejected(
                "window_too_short",
                f"who is active is set to be asked of {window_days} days (WAYPOST_ACTIVE_DAYS); choose a grain of at most that",
                "/grain",
            )
        figures = Figures()
        for days in self._days:
            for dims, values in self._measured(days, span, window_days):
                add_to(figures.totals, (days.activity, *dims), values)
        return figures

    def _measured(self, days: _Days, span: Span, window_days: int) -> Iterator[tuple[Dims, Values]]:
        """Sums of measures, by whether a person is identified."""
        start, end = span
        since, at_end = start - window_days, end - window_days
        inside, anew, ever = days.before(span, start), days.before(span, since), days.before(span, EVER)
        still, at_start = days.before(Span(at_end, start), at_end), dict[Dims, list[int]]()
        earlier = inside if at_end == start else days.before(span, at_end)
        if self._calendar.day_start_us(start) <= self._as_of_us:
            at_start = days.before(Span(since, start), since)
        is_over = self._calendar.day_start_us(end) <= self._as_of_us
        for dims in {**inside, **earlier, **anew, **ever, **still, **at_start}:
            buyers, second, second_order = inside.get(dims, NOTHING)
            started, new, reactivated = (found.get(dims, NOTHING)[0] for found in (at_start, ever, anew))
            came = earlier.get(dims, NOTHING)[0] - reactivated
            values = {
                "new": new,
                "reactivated": reactivated - new,
                "started": started if is_over else 0,
                "retained": still.get(dims, NOTHING)[0] + came if is_over else 0,
                "open": 0 if is_over else started,
            }
            if days.activity == "order":
                values |= {"buyers": buyers, "repeated": second - buyers, "repeated_orders": second_order - buyers}
            yield dims, [values.get(measure, 0) for measure in MEASURES]


class _Days:
    """Active days by the active day before, as of an instant."""

    def __init__(self, reading: Reading, calendar: Calendar, as_of_us: int, activity: str) -> None:
        self.activity = activity
        self._reading, self._calendar, self._as_of_us = reading, calendar, as_of_us
        self._last_day = calendar.day_of(as_of_us)
        self._changes: dict[Span, list[tuple[Dims, Sequence[int]]]] = {}
        self._cube = BY_NAME["order_days" if activity == "order" else "people_since"]

    def before(self, days: Span, day: int) -> dict[Dims, list[int]]:
        """Sums of the measures over days whose previous one lies before `day`, by whether the person is identified."""
        days = Span(days.start, min(days.end, self._last_day + 1))
        totals: dict[Dims, list[int]] = {}
        for segment in segments(days):
            for place in before(segment, day):
                for row in self._reading.by_cohort(self._cube, ("identified",), place):
                    add_to(totals, row.dims, _three(row.values))
        if days.start <= self._last_day < days.end:
            for (_, _, previous, dims), values in self._later_today.items():
                if previous < day:
                    add_to(totals, dims, [-value for value in _three(values)])
        if self.activity == "order":
            self._without_later_changes(totals, days, day)
        return totals

    @cached_property
    def _later_today(self) -> Mapping[Cell, Values]:
        return cut(self._reading, self._calendar, self._cube, self._as_of_us).cells

    @cached_property
    def _changed_later_today(self) -> Mapping[Cell, Values]:
        return cut(self._reading, self._calendar, _LATE, self._as_of_us).cells

    def _without_later_changes(self, totals: dict[Dims, list[int]], days: Span, day: int) -> None:
        """Take back what days came to count for only after the instant asked about."""
        for dims, values in self._changed_later(days):
            _take(totals, dims, values, day)
        for (_, _, on, dims), values in self._changed_later_today.items():
            if days.start <= on < days.end:
                _take(totals, dims, [-value for value in values], day)

    def _changed_later(self, days: Span) -> list[tuple[Dims, Sequence[int]]]:
        """What days of the span come to count for after the day asked about, with its sign."""
        known = self._changes.get(days)
        if known is None:
            places = [place for segment in segments(days) for place in self._later(segment)]
            rows = [row for place in places for row in self._reading.by_cohort(_LATE, _LATE.dims, place)]
            known = self._changes[days] = [(row.dims, row.values) for row in rows]
        return known

    def _later(self, segment: Segment) -> Iterator[Place]:
        """Changes of the days of a segment that take effect after the day asked about."""
        this_month, dates = month_of_day(self._last_day), Span(segment.low, segment.high)
        yield Place(f"m{segment.grain}", this_month + 1, dates, -1)
        rest_of_month = range(self._last_day + 1, first_day_of_month(this_month + 1))
        if rest_of_month:
            yield Place(f"d{segment.grain}", rest_of_month, dates, -1)


_LATE: Cube = BY_NAME["order_days_late"]


def _take(totals: dict[Dims, list[int]], dims: Dims, values: Sequence[int], day: int) -> None:
    """Add the values of a late change, if its previous day lies before `day`."""
    previous, known = dims
    if int(previous or NEVER) < day:
        add_to(totals, (known,), _three(values))


def _three(values: Sequence[int]) -> list[int]:
    """Of orders: the first, second and second-order measures; of touchpoints the first only."""
    return [*values[:3], 0, 0][:3]
