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
from services.metrics.store.places import FOREVER, Place
from services.metrics.store.reading import Reading
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

    def over(self, asked: Sequence[Span], window_days: int = 0) -> dict[int, Figures]:
        """Figures by (activity, identified), with the measures of `loyalty.*`, by the first day of each span.

        Windows are as long as the span, unless given. Raises Rejected("window_too_short") for a window that is shorter than the span.
        """
        windows = {span: _window(span, window_days) for span in asked}
        found = {span.start: Figures() for span in asked}
        for days in self._days:
            days.read(pair for span, window in windows.items() for pair in _wanted(span, window))
            for span, window in windows.items():
                for dims, values in self._measured(days, span, window):
                    add_to(found[span.start].totals, (days.activity, *dims), values)
        return found

    def _measured(self, days: _Days, span: Span, window_days: int) -> Iterator[tuple[Dims, Values]]:
        """Sums of measures, by whether a person is identified."""
        start, end = span
        since, at_end = start - window_days, end - window_days
        inside, anew, ever = days.before(span, start), days.before(span, since), days.before(span, EVER)
        still = days.before(Span(at_end, start), at_end)
        earlier = days.before(span, at_end)
        has_begun = self._calendar.day_start_us(start) <= self._as_of_us
        at_start = days.before(Span(since, start), since) if has_begun else {}
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
        self._sums: dict[tuple[Span, int], dict[Dims, list[int]]] = {}
        self._cube = BY_NAME["order_days" if activity == "order" else "people_since"]

    def before(self, days: Span, day: int) -> Mapping[Dims, list[int]]:
        """Sums of the measures over days whose previous one lies before `day`, by whether the person is identified. It was read."""
        return self._sums[self._so_far(days), day]

    def read(self, wanted: Iterable[tuple[Span, int]]) -> None:
        """Read the sums over these days with these days before, all together."""
        pairs = list(dict.fromkeys((self._so_far(days), day) for days, day in wanted))
        self._sums = {pair: {} for pair in pairs}
        places = [place for tag, pair in enumerate(pairs) for place in before(*pair, tag)]
        for row in self._reading.sums(self._cube, ("identified",), places):
            add_to(self._sums[pairs[row.tag]], row.dims, _three(row.values))
        for (days, day), totals in self._sums.items():
            if days.start <= self._last_day < days.end:
                for (_, _, previous, dims), values in self._later_today.items():
                    if previous < day:
                        add_to(totals, dims, [-value for value in _three(values)])
        if self.activity == "order":
            self._without_later_changes()

    def _so_far(self, days: Span) -> Span:
        return Span(days.start, min(days.end, self._last_day + 1))

    @cached_property
    def _later_today(self) -> Mapping[Cell, Values]:
        return cut(self._reading, self._calendar, self._cube, self._as_of_us).cells

    @cached_property
    def _changed_later_today(self) -> Mapping[Cell, Values]:
        return cut(self._reading, self._calendar, _LATE, self._as_of_us).cells

    def _without_later_changes(self) -> None:
        """Take back what days came to count for only after the instant asked about."""
        spans = list(dict.fromkeys(days for days, _ in self._sums))
        later = self._changed_later(spans)
        for (days, day), totals in self._sums.items():
            for dims, values in later[days]:
                _take(totals, dims, values, day)
            for (_, _, on, dims), values in self._changed_later_today.items():
                if days.start <= on < days.end:
                    _take(totals, dims, [-value for value in values], day)

    def _changed_later(self, spans: Sequence[Span]) -> Mapping[Span, list[tuple[Dims, Sequence[int]]]]:
        """What days of each span come to count for after the day asked about, with its sign."""
        found: dict[Span, list[tuple[Dims, Sequence[int]]]] = {days: [] for days in spans}
        places = [place for tag, days in enumerate(spans) for segment in segments(days) for place in self._later(segment, tag)]
        for row in self._reading.sums(_LATE, _LATE.dims, places):
            found[spans[row.tag]].append((row.dims, row.values))
        return found

    def _later(self, segment: Segment, tag: int) -> Iterator[Place]:
        """Changes of the days of a segment that take effect after the day asked about."""
        this_month, dates = month_of_day(self._last_day), Span(segment.low, segment.high)
        yield Place(f"m{segment.grain}", Span(this_month + 1, FOREVER), dates, -1, tag)
        rest_of_month = range(self._last_day + 1, first_day_of_month(this_month + 1))
        if rest_of_month:
            yield Place(f"d{segment.grain}", rest_of_month, dates, -1, tag)


def _window(span: Span, window_days: int) -> int:
    days = span.end - span.start
    if 0 < window_days < days:
        raise Rejected(
            "window_too_short",
            f"who is active is set to be asked of {window_days} days (WAYPOST_ACTIVE_DAYS); choose a grain of at most that",
            "/grain",
        )
    return window_days or days


def _wanted(span: Span, window_days: int) -> Iterator[tuple[Span, int]]:
    """What is measured of a span: days, and before which day the one before each has to lie."""
    start, end = span
    since, at_end = start - window_days, end - window_days
    yield from ((span, start), (span, since), (span, EVER), (span, at_end))
    yield from ((Span(at_end, start), at_end), (Span(since, start), since))


_LATE: Cube = BY_NAME["order_days_late"]


def _take(totals: dict[Dims, list[int]], dims: Dims, values: Sequence[int], day: int) -> None:
    """Add the values of a late change, if its previous day lies before `day`."""
    previous, known = dims
    if int(previous or NEVER) < day:
        add_to(totals, (known,), _three(values))


def _three(values: Sequence[int]) -> list[int]:
    """Of orders: the first, second and second-order measures; of touchpoints the first only."""
    return [*values[:3], 0, 0][:3]
