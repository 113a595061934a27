"""What a KPI's periods add up to: sums of measures, and histograms, by period and dimensions, as of one instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.calendar import NEVER, Calendar, first_day_of_month, month_of_day
from services.metrics.domain.cubes import Cube, Dims
from services.metrics.domain.periods import Asked, Grain, Segment, Span, segments, start_of
from services.metrics.domain.rollups import Counts, Sums, add_counts
from services.metrics.store.packing import merged
from services.metrics.store.places import FOREVER, Place
from services.metrics.store.reading import Packed, Reading

Totals = dict[Dims, list[int]]
_NO_DAY = NEVER + 1
"""Before it lies what never was."""


@dataclass
class Figures:
    """Of one period: sums of the cube's measures, and the histogram of its spread, by dimensions."""

    totals: Totals = field(default_factory=dict)
    counts: dict[Dims, Counts] = field(default_factory=dict)

    def add(self, dims: Dims, values: Sequence[int]) -> None:
        add_to(self.totals, dims, values)

    def spread(self, dims: Dims, counts: Counts, sign: int = 1) -> None:
        signed = {bucket: sign * count for bucket, count in counts.items() if count}
        known = self.counts.setdefault(dims, signed)
        if known is not signed:
            add_counts(known, signed)

    def projected(self, names: tuple[str, ...], wanted: tuple[str, ...], filters: Mapping[str, str]) -> Figures:
        """By the dimensions wanted, of the rows that pass the filters; without those that are zero throughout."""
        places = [names.index(name) for name in wanted]
        conditions = [(names.index(name), value) for name, value in filters.items()]
        kept = Figures()
        for dims, values in self.totals.items():
            if all((dims[place] or "") == value for place, value in conditions):
                among = tuple(dims[place] for place in places)
                kept.add(among, values)
                if counts := self.counts.get(dims):
                    kept.spread(among, counts)
        kept.totals = {dims: values for dims, values in kept.totals.items() if any(values)}
        return kept


def gather(reading: Reading, calendar: Calendar, cube: Cube, names: tuple[str, ...], question: Asked) -> dict[int, Figures]:
    """Figures by period, and by the values of the dimension set `names`."""
    return _Gathering(reading, calendar, cube, names, question).gather()


class _Gathering:
    def __init__(self, reading: Reading, calendar: Calendar, cube: Cube, names: tuple[str, ...], question: Asked) -> None:
        self._reading, self._calendar, self._cube, self._names = reading, calendar, cube, names
        self._question, self._last_day = question, calendar.day_of(question.as_of_us)
        self._found: dict[int, Figures] = {}
        self._by_number: dict[tuple[str, int], Figures] = {}

    def gather(self) -> dict[int, Figures]:
        match self._cube.cohort:
            case "previous":
                self._since()
            case "dated":
                self._dated()
            case _:
                self._effective()
        return self._found

    def _effective(self) -> None:
        """By the time at which contributions take effect."""
        span = Span(self._question.span.start, min(self._question.span.end, self._last_day + 1))
        parts = _segments(span, self._question.grain)
        places = [Place.of(segment, tag) for tag, segment in enumerate(parts)]
        for row in self._reading.sums(self._cube, self._names, places, "effective"):
            self._of(parts[row.tag].grain, row.number).add(row.dims, row.values)
        if self._cube.spread is not None:
            self._spread(parts, self._reading.histograms(self._cube, self._names, places, "effective"))
        if span.start <= self._last_day < span.end:
            grain = "h" if self._question.grain == "hour" else "d"
            for (_, effective, _, dims), values, counts in self._later_today():
                number = effective // 24 if self._cube.hourly and grain == "d" else effective
                self._take_back(self._of(grain, number), dims, values, counts)

    def _dated(self) -> None:
        """By date, of what is effective by now: all of it, less what comes later."""
        parts = _segments(self._question.span, self._question.grain)
        for row in self._reading.sums(self._cube, self._names, self._places(parts), "cohort"):
            self._of(parts[row.tag].grain, row.number).add(row.dims, row.values)
        if self._cube.spread is not None:
            self._spread(parts, self._reading.histograms(self._cube, self._names, self._places(parts, spread=True)))
        for (_, _, date, dims), values, counts in self._later_today():
            if self._question.span.start <= date < self._question.span.end:
                self._take_back(self._of("d", date), dims, values, counts)

    def _places(self, parts: Sequence[Segment], spread: bool = False) -> list[Place]:
        """The places of each part. Histograms (`spread`) are not kept by month and month."""
        return [place for tag, segment in enumerate(parts) for place in self._places_of(segment, tag, spread)]

    def _places_of(self, segment: Segment, tag: int, spread: bool) -> Iterable[Place]:
        this_month, dates = month_of_day(self._last_day), Span(segment.low, segment.high)
        rest_of_month = range(self._last_day + 1, first_day_of_month(this_month + 1))
        yield Place(f"*{segment.grain}", (0,), dates, 1, tag)
        if spread and segment.grain == "m":
            yield Place("dm", Span(self._last_day + 1, FOREVER), dates, -1, tag)
            return
        yield Place(f"m{segment.grain}", Span(this_month + 1, FOREVER), dates, -1, tag)
        if rest_of_month:
            yield Place(f"d{segment.grain}", rest_of_month, dates, -1, tag)

    def _since(self) -> None:
        """Over any range of days: the active days whose previous active day lies before the range."""
        start = self._question.span.start
        figures = self._found.setdefault(start, Figures())
        places = before(Span(start, min(self._question.span.end, self._last_day + 1)), start)
        for row in self._reading.sums(self._cube, self._names, places):
            figures.add(row.dims, row.values)
        if start <= self._last_day < self._question.span.end:
            for (_, _, previous, dims), values, counts in self._later_today():
                if previous < start:
                    self._take_back(figures, dims, values, counts)

    def _spread(self, parts: Sequence[Segment], found: Iterable[Packed]) -> None:
        """Add up the histograms of a period, those of all partitions together."""
        packed: dict[tuple[int, int], dict[Dims, list[tuple[bytes, int]]]] = defaultdict(lambda: defaultdict(list))
        for tag, number, dims, counts, sign in found:
            packed[tag, number][dims].append((counts, sign))
        for (tag, number), of_dims in packed.items():
            figures = self._of(parts[tag].grain, number)
            for dims, signed in of_dims.items():
                figures.spread(dims, merged(signed))

    def _later_today(self) -> Iterable[tuple[tuple[str, int, int, Dims], Sequence[int], Counts]]:
        """What the rows of the day of as_of hold that takes effect after as_of."""
        later = cut(self._reading, self._calendar, self._cube, self._question.as_of_us)
        return ((cell, values, later.counts.get(cell, {})) for cell, values in later.cells.items())

    def _take_back(self, figures: Figures, dims: Dims, values: Sequence[int], counts: Counts) -> None:
        among = tuple(dims[self._cube.dims.index(name)] for name in self._names)
        figures.add(among, [-value for value in values[: len(self._cube.measures)]])
        if self._cube.spread is not None:
            figures.spread(among, counts, -1)

    def _of(self, stored: str, number: int) -> Figures:
        """The figures of the period in which a stored hour, day or month lies."""
        known = self._by_number.get((stored, number))
        if known is None:
            known = self._by_number[stored, number] = self._found.setdefault(self._period(stored, number), Figures())
        return known

    def _period(self, stored: str, number: int) -> int:
        question = self._question
        if question.grain == "none":
            return question.span.start
        if stored == "h":
            return number
        return start_of(first_day_of_month(number) if stored == "m" else number, question.grain)


def cut(reading: Reading, calendar: Calendar, cube: Cube, as_of_us: int) -> Sums:
    """The contributions to a cube on the day of as_of that take effect after as_of."""
    end_us = calendar.day_start_us(calendar.day_of(as_of_us) + 1)
    sums = Sums(calendar)
    later = reading.effects_between(cube.kinds, as_of_us, end_us, calendar)
    sums.add(contribution for contribution in later if contribution.cube == cube.name)
    return sums


def add_to(totals: Totals, dims: Dims, values: Sequence[int]) -> None:
    known = totals.get(dims)
    totals[dims] = list(values) if known is None else [a + b for a, b in zip(known, values, strict=False)]


def _segments(span: Span, grain: Grain) -> list[Segment]:
    if span.start >= span.end:
        return []
    if grain == "hour":
        return [Segment("h", span.start * 24, span.end * 24)]
    if grain in ("day", "week"):
        return [Segment("d", span.start, span.end)]
    return segments(span)


def before(days: Span, start: int, tag: int = 0) -> list[Place]:
    """The rows of these days of effective time whose cohort day lies before `start`."""
    return [place for segment in segments(days) for place in _before(segment, start, tag)]


def _before(segment: Segment, start: int, tag: int) -> Iterable[Place]:
    effective = range(segment.low, segment.high)
    if start <= _NO_DAY:
        yield Place(segment.grain + "m", effective, Span(NEVER, NEVER + 1), 1, tag)
        return
    for cohorts in segments(Span(first_day_of_month(month_of_day(start)), start)):
        yield Place(segment.grain + cohorts.grain, effective, Span(cohorts.low, cohorts.high), 1, tag)
    yield Place(segment.grain + "m", effective, Span(NEVER, month_of_day(start)), 1, tag)
