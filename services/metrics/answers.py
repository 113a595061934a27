"""Answers of questions: rows are read, folded into the periods or stages asked for, and given to a formula.

Everything is as of one instant: rows up to its day, less what takes effect later on that day, which is recomputed from the
stored facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.calendar import NEVER, Calendar, first_day_of_month, month_of_day
from services.metrics.domain.cubes import BY_NAME, Cube, Dims
from services.metrics.domain.kpis import Distinct, Kpi
from services.metrics.domain.periods import Grain, Segment, Span, period_name, periods, segments, start_of
from services.metrics.domain.rollups import Counts, add_counts
from services.metrics.domain.rollups import Sums as CutSums
from services.metrics.domain.stages import Journeys, Row, cubes_of, stage_rows, transition_rows
from services.metrics.store.packing import merged
from services.metrics.store.reading import Place, Reading
from services.shared.errors import Rejected

MAX_ROWS = 100_000
Totals = dict[Dims, list[int]]


@dataclass(frozen=True)
class KpiQuestion:
    """`filters`: dimensions that have to have a value ("" for none). `by` and filters together lie in one dimension set."""

    kpi: Kpi
    span: Span
    grain: Grain
    by: tuple[str, ...]
    filters: Mapping[str, str]
    as_of_us: int


@dataclass(frozen=True)
class CohortQuestion:
    """Journeys (or people) that started in `span`."""

    span: Span
    by: tuple[str, ...]
    journeys: Journeys
    unit: Literal["journey", "person"]
    as_of_us: int


class Answers:
    """Answers questions from one snapshot."""

    def __init__(self, reading: Reading, calendar: Calendar) -> None:
        self._reading, self._calendar = reading, calendar

    def kpi(self, question: KpiQuestion) -> list[Row]:
        """Rows by period and dimensions. Without `by` every period has a row; with it, every combination that occurs.

        Raises Rejected: `unknown_dimension`, `unsupported_dimensions`, `currency_needed`, `too_many_rows`.
        """
        kpi = question.kpi
        cube = _cube_of(kpi, question.grain)
        split = (*question.by, *(("currency",) if _splits_currency(question) else ()))
        names = _set_for(cube, split, question.filters)
        by_period = (
            self._since(cube, names, question)
            if question.grain == "none" and isinstance(kpi.formula, Distinct)
            else self._by_period(cube, names, question)
        )
        found = {period: projected(totals, names, split, question.filters) for period, totals in by_period.items() if totals}
        combinations = sorted({dims for totals in found.values() for dims in totals}, key=_sortable)
        if not question.by:
            combinations = _one_currency(combinations) if len(split) else [()]
        asked = periods(question.span, question.grain)
        if len(asked) * len(combinations) > MAX_ROWS:
            raise Rejected(
                "too_many_rows", f"this has over {MAX_ROWS:,} rows; choose a coarser grain or a shorter range", "/grain"
            )
        named = [(dims, dict(zip(split, dims, strict=True))) for dims in combinations]
        nothing = _answered(question, cube, [0] * len(cube.measures))
        rows = []
        for period in asked:
            when, totals = period_name(period, question.grain), found.get(period, {})
            for dims, names_of in named:
                values = totals.get(dims)
                rows.append({"period": when, **names_of, **(nothing if values is None else _answered(question, cube, values))})
        return rows

    def stages(self, question: CohortQuestion) -> tuple[int, list[Row]]:
        """How many journeys there are in the cohort, and the rows of the stage table."""
        totals, counts = self._cohort("stages", ("stage", *question.by), question)
        cube = BY_NAME["stages.new"]
        sums = {dims: dict(zip(cube.measures, values, strict=False)) for dims, values in totals.items() if any(values)}
        return sum(of["started"] for of in sums.values()), stage_rows(question.by, sums, counts)

    def transitions(self, question: CohortQuestion) -> list[Row]:
        """Rows {from, to, *by, transitions} of the cohort."""
        totals, _ = self._cohort("transitions", ("from", "to", *question.by), question)
        return transition_rows(question.by, {dims: {"transitions": values[0]} for dims, values in totals.items()})

    # KPIs: by effective time

    def _by_period(self, cube: Cube, names: tuple[str, ...], question: KpiQuestion) -> dict[int, Totals]:
        grain, last_day = question.grain, self._calendar.day_of(question.as_of_us)
        span = Span(question.span.start, min(question.span.end, last_day + 1))
        found: dict[int, Totals] = {}
        for segment in _segments(span, grain):
            for row in self._reading.by_period(cube, names, *segment):
                period = _period(question, segment.grain, row.effective)
                add_to(found.setdefault(period, {}), row.dims, row.values)
        if span.start <= last_day < span.end:
            cut = self._cut(cube, question.as_of_us)
            for (_, effective, _, dims), values in cut.cells.items():
                day = effective // 24 if cube.hourly else effective
                period = effective if grain == "hour" else _period(question, "d", day)
                add_to(found.setdefault(period, {}), _pick(cube, dims, names), [-value for value in values])
        return found

    def _since(self, cube: Cube, names: tuple[str, ...], question: KpiQuestion) -> dict[int, Totals]:
        """Over any range of days: the active days whose previous active day lies before the range."""
        start, last_day = question.span.start, self._calendar.day_of(question.as_of_us)
        totals: Totals = {}
        for segment in segments(Span(start, min(question.span.end, last_day + 1))):
            for place in _before(segment, start):
                for row in self._reading.by_cohort(cube, names, place):
                    add_to(totals, row.dims, row.values)
        if start <= last_day < question.span.end:
            for (_, _, previous, dims), values in self._cut(cube, question.as_of_us).cells.items():
                if previous < start:
                    add_to(totals, _pick(cube, dims, names), [-value for value in values])
        return {start: totals}

    # cohorts: by the day on which a journey started

    def _cohort(
        self, what: Literal["stages", "transitions"], wanted: tuple[str, ...], question: CohortQuestion
    ) -> tuple[Totals, dict[Dims, Counts]]:
        totals: Totals = {}
        packed: dict[Dims, list[tuple[bytes, int]]] = {}
        counts: dict[Dims, Counts] = {}
        for cube in (BY_NAME[name] for name in cubes_of(what, question.journeys, question.unit)):
            names, spread_names = _set_for(cube, wanted, {}), cube.spread_set_for(frozenset(wanted)) or ()
            for place in self._places(question):
                for row in self._reading.by_cohort(cube, names, place):
                    add_to(totals, _among(names, row.dims, wanted), row.values)
            for place in self._places(question, spread=True) if spread_names else ():
                for dims, data in self._reading.histograms(cube, spread_names, place):
                    packed.setdefault(_among(spread_names, dims, wanted), []).append((data, place.sign))
            self._cut_cohort(cube, wanted, question, totals, counts)
        for dims, signed in packed.items():
            add_counts(counts.setdefault(dims, {}), merged(signed))
        return totals, counts

    def _cut_cohort(
        self, cube: Cube, wanted: tuple[str, ...], question: CohortQuestion, totals: Totals, counts: dict[Dims, Counts]
    ) -> None:
        cut = self._cut(cube, question.as_of_us)
        for (_, _, started, dims), values in cut.cells.items():
            if question.span.start <= started < question.span.end:
                add_to(totals, _pick(cube, dims, wanted), [-value for value in values])
        for (_, _, started, dims), later in cut.counts.items():
            if question.span.start <= started < question.span.end:
                negative = {bucket: -count for bucket, count in later.items()}
                add_counts(counts.setdefault(_pick(cube, dims, wanted), {}), negative)

    def _places(self, question: CohortQuestion, spread: bool = False) -> Iterable[Place]:
        """Where to read so that the sum is what is effective up to the day of as_of, of the cohorts asked for.

        Whole months of cohorts: everything, less what comes later. Single days: month by month up to as_of's, less what comes
        later in that month. Histograms (`spread`) are not kept by month and month.
        """
        last_day = self._calendar.day_of(question.as_of_us)
        this_month = month_of_day(last_day)
        next_month_start = first_day_of_month(this_month + 1)
        rest_of_month = range(last_day + 1, next_month_start)
        for segment in segments(Span(question.span.start, min(question.span.end, next_month_start))):
            cohorts = Span(segment.low, segment.high)
            if segment.grain == "m":
                yield Place("*m", (0,), cohorts)
                if not spread:
                    yield Place("mm", this_month + 1, cohorts, -1)
                if spread or rest_of_month:
                    yield Place("dm", last_day + 1 if spread else rest_of_month, cohorts, -1)
            else:
                yield Place("md", range(month_of_day(segment.low), this_month + 1), cohorts)
                if rest_of_month:
                    yield Place("dd", rest_of_month, cohorts, -1)

    # as of

    def _cut(self, cube: Cube, as_of_us: int) -> CutSums:
        """What a cube's rows of the day of as_of hold that takes effect after as_of."""
        end_us = self._calendar.day_start_us(self._calendar.day_of(as_of_us) + 1)
        sums = CutSums(self._calendar)
        later = self._reading.effects_between(cube.kinds, as_of_us, end_us, self._calendar)
        sums.add(contribution for contribution in later if contribution.cube == cube.name)
        return sums


def add_to(totals: Totals, dims: Dims, values: Sequence[int]) -> None:
    known = totals.get(dims)
    totals[dims] = list(values) if known is None else [a + b for a, b in zip(known, values, strict=False)]


def projected(totals: Totals, names: tuple[str, ...], wanted: tuple[str, ...], filters: Mapping[str, str]) -> Totals:
    """Totals by the dimensions wanted, of the rows that pass the filters; without those that are zero throughout."""
    places = [names.index(name) for name in wanted]
    conditions = [(names.index(name), value) for name, value in filters.items()]
    kept: Totals = {}
    for dims, values in totals.items():
        if all((dims[place] or "") == value for place, value in conditions):
            add_to(kept, tuple(dims[place] for place in places), values)
    return {dims: values for dims, values in kept.items() if any(values)}


def _answered(question: KpiQuestion, cube: Cube, values: Sequence[int]) -> Row:
    """What a row says beside its period and dimensions."""
    measures = dict(zip(cube.measures, values, strict=False))
    answer = question.kpi.formula.answer(measures, question.grain)
    return {
        "value": answer.value,
        "numerator": answer.numerator,
        "denominator": answer.denominator,
        "n": answer.n,
        "low": answer.low,
        "high": answer.high,
        "open": answer.open,
    }


def _cube_of(kpi: Kpi, grain: Grain) -> Cube:
    return kpi.formula.since if grain == "none" and isinstance(kpi.formula, Distinct) else kpi.cube


def _splits_currency(question: KpiQuestion) -> bool:
    return question.kpi.per_currency and "currency" not in question.by and "currency" not in question.filters


def _one_currency(combinations: list[Dims]) -> list[Dims]:
    """Amounts of several currencies are never added: without `by` there may be one. Orders of unknown worth are not counted."""
    currencies = [dims for dims in combinations if dims[0] is not None]
    if len(currencies) > 1:
        known = ", ".join(str(dims[0]) for dims in currencies)
        raise Rejected(
            "currency_needed", f"there are several currencies ({known}); add by=currency, or currency=… for one", "/by"
        )
    return currencies or [(None,)]


def _set_for(cube: Cube, by: Iterable[str], filters: Mapping[str, str]) -> tuple[str, ...]:
    wanted = frozenset(by) | frozenset(filters)
    for name in sorted(wanted):
        if name not in cube.dims:
            raise Rejected("unknown_dimension", f"there is no dimension {name!r} here; there are {', '.join(cube.dims)}", "/by")
    names = cube.set_for(wanted)
    if names is None:
        sets = "; ".join(", ".join(names) for names in cube.sets)
        raise Rejected(
            "unsupported_dimensions", f"{', '.join(sorted(wanted))} are not kept together; together are: {sets}", "/by"
        )
    return names


def _segments(span: Span, grain: Grain) -> list[Segment]:
    if span.start >= span.end:
        return []
    if grain == "hour":
        return [Segment("h", span.start * 24, span.end * 24)]
    if grain in ("day", "week"):
        return [Segment("d", span.start, span.end)]
    return segments(span)


def _period(question: KpiQuestion, stored: str, effective: int) -> int:
    """The period of a stored row."""
    if question.grain == "none":
        return question.span.start
    if stored == "h":
        return effective
    return start_of(first_day_of_month(effective) if stored == "m" else effective, question.grain)


def _before(segment: Segment, start: int) -> Iterable[Place]:
    """The rows of a segment of effective time whose cohort day lies before `start`."""
    effective = range(segment.low, segment.high)
    for cohorts in segments(Span(first_day_of_month(month_of_day(start)), start)):
        yield Place(segment.grain + cohorts.grain, effective, Span(cohorts.low, cohorts.high))
    yield Place(segment.grain + "m", effective, Span(NEVER, month_of_day(start)))


def _pick(cube: Cube, dims: Dims, names: tuple[str, ...]) -> Dims:
    return tuple(dims[cube.dims.index(name)] for name in names)


def _among(names: tuple[str, ...], dims: Dims, wanted: tuple[str, ...]) -> Dims:
    return tuple(dims[names.index(name)] for name in wanted)


def _sortable(dims: Dims) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in dims)
