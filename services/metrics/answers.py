"""Answers of questions: rows are read, folded into the periods or stages asked for, and given to a formula.

Everything is as of one instant: rows up to its day, less what takes effect later on that day, which is recomputed from the
stored facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from schemas.calendar import Calendar, first_day_of_month, month_of_day
from services.metrics import ranged
from services.metrics.domain.credit import Modelled
from services.metrics.domain.cubes import BY_NAME, Cube, Dims
from services.metrics.domain.kpis import Distinct, Kpi
from services.metrics.domain.periods import Grain, Span, period_name, periods, segments, spans
from services.metrics.domain.rollups import Counts, add_counts
from services.metrics.domain.stages import Journeys, Row, cubes_of, stage_rows, transition_rows
from services.metrics.figures import Figures, Totals, add_to, cut, gather
from services.metrics.load import agent_hours
from services.metrics.modelling import Modelling
from services.metrics.store.moments import Met
from services.metrics.store.moments import Place as FactPlace
from services.metrics.store.packing import merged
from services.metrics.store.places import FOREVER, Place
from services.metrics.store.reading import Reading
from services.metrics.survival import life_tables
from services.shared.errors import Rejected

MAX_ROWS = 100_000


@dataclass(frozen=True)
class KpiQuestion:
    """`filters`: dimensions that have to have a value ("" for none). `by` and filters together lie in one dimension set.

    `window_days`: who was active so many days before a moment is active at it; 0: as many as the period has.
    """

    kpi: Kpi
    span: Span
    grain: Grain
    by: tuple[str, ...]
    filters: Mapping[str, str]
    as_of_us: int
    window_days: int = 0

    @property
    def window(self) -> int:
        """`window_days`, 0 for KPIs that don't ask of windows."""
        return 0 if self.kpi.fixed else self.window_days

    @property
    def is_ranged(self) -> bool:
        """Whether it is answered from the people's days."""
        return self.kpi.ranged and (self.grain == "none" or self.window > 0)


@dataclass(frozen=True)
class CohortQuestion:
    """Journeys (or people) that started in `span`."""

    span: Span
    by: tuple[str, ...]
    journeys: Journeys
    unit: Literal["journey", "person"]
    as_of_us: int


class _Beside(NamedTuple):
    """A measure of another cube, by period and the dimensions at these `places`; what it is where there is `nothing`."""

    counted: Mapping[tuple[int, Dims], Mapping[str, int]]
    nothing: Mapping[str, int]
    places: tuple[int, ...]

    def of(self, period: int, dims: Dims) -> Mapping[str, int]:
        if not self.counted:
            return self.nothing
        return self.counted.get((period, tuple(dims[place] for place in self.places)), self.nothing)


class _More(NamedTuple):
    """Measures of other cubes: what is counted beside, and the agents seen, by period and dimensions."""

    beside: _Beside
    seen: Mapping[tuple[int, Dims], int]
    has_seen: bool

    def of(self, period: int, dims: Dims) -> Mapping[str, int]:
        beside = self.beside.of(period, dims)
        return {**beside, "agent_hours": self.seen.get((period, dims), 0)} if self.has_seen else beside


class Answers:
    """Answers questions from one snapshot."""

    def __init__(self, reading: Reading, calendar: Calendar) -> None:
        self._reading, self.calendar = reading, calendar

    def kpi(self, question: KpiQuestion) -> list[Row]:
        """Rows by period and dimensions. Without `by` every period has a row; with it, every combination that occurs.

        Raises Rejected: `unknown_dimension`, `unsupported_dimensions`, `currency_needed`, `scale_needed`, `too_many_rows`.
        """
        kpi = question.kpi
        cube = cube_of(kpi, question.grain)
        split, filters = split_of(question), {**question.filters, **kpi.fixed}
        names = _set_for(cube, split, filters)
        by_period = self._figures(question, cube, names, filters)
        found = {period: figures.projected(names, split, filters) for period, figures in by_period.items()}
        more = self._more(question, split)
        occurring = {dims for figures in found.values() for dims in figures.totals} | {dims for _, dims in more.seen}
        combinations = sorted(occurring, key=sortable)
        if not question.by:
            combinations = _one(combinations, split) if split else [()]
        asked = periods(question.span, question.grain)
        if len(asked) * len(combinations) > MAX_ROWS:
            raise Rejected(
                "too_many_rows", f"this has over {MAX_ROWS:,} rows; choose a coarser grain or a shorter range", "/grain"
            )
        named = [(dims, dict(zip(split, dims, strict=True))) for dims in combinations]
        zeros, rows = [0] * len(cube.measures), []
        nothing = None if kpi.beside or kpi.seen else _answered(question, cube, zeros, {}, {})
        for period in asked:
            when, figures = period_name(period, question.grain), found.get(period, Figures())
            for dims, names_of in named:
                if kpi.is_told is not None and not kpi.is_told(
                    period, {**filters, **names_of}, self.calendar.day_of(question.as_of_us)
                ):
                    continue
                values = figures.totals.get(dims)
                answered = nothing if values is None else None
                if answered is None:
                    counts = figures.counts.get(dims, {})
                    answered = _answered(question, cube, values or zeros, counts, more.of(period, dims))
                rows.append({"period": when, **names_of, **answered})
        return rows

    def facts(self, kinds: Iterable[str], span: Span, since: FactPlace | None) -> Iterator[Met]:
        """Stored facts of these kinds that take effect on these days, each once, in order, from the place `since` on."""
        return self._reading.facts(kinds, self.calendar.day_start_us(span.start), self.calendar.day_start_us(span.end), since)

    def _more(self, question: KpiQuestion, by: tuple[str, ...]) -> _More:
        seen = question.kpi.seen
        if seen is None:
            return _More(self._beside(question, by), {}, False)
        hours = agent_hours(self._reading, self.calendar, seen, question, by, question.filters)
        return _More(self._beside(question, by), hours, True)

    def _beside(self, question: KpiQuestion, by: tuple[str, ...]) -> _Beside:
        """What the KPI beside this one counts: by period, and by those dimensions that it shares with this one."""
        kpi, may_share = question.kpi.beside, question.kpi.beside_by
        if kpi is None:
            return _Beside({}, {}, ())
        cube, shared = cube_of(kpi, question.grain), tuple(name for name in by if name in may_share)
        filters = {name: value for name, value in question.filters.items() if name in may_share}
        names = _set_for(cube, shared, filters)

        def counted(values: Sequence[int]) -> Mapping[str, int]:
            measures = dict(zip(cube.measures, values, strict=False))
            return {kpi.id: kpi.formula.answer(measures, question.grain, {}).numerator or 0}

        found: dict[tuple[int, Dims], Mapping[str, int]] = {}
        for period, figures in gather(self._reading, self.calendar, cube, names, question).items():
            for dims, values in figures.projected(names, shared, filters).totals.items():
                found[period, dims] = counted(values)
        return _Beside(found, counted([0] * len(cube.measures)), tuple(by.index(name) for name in shared))

    def _figures(
        self, question: KpiQuestion, cube: Cube, names: tuple[str, ...], filters: Mapping[str, str]
    ) -> dict[int, Figures]:
        """By period. Cubes hold people by periods of the calendar, and by windows as long as these; models are computed now."""
        formula = question.kpi.formula
        if isinstance(formula, Modelled):
            wanted = {*split_of(question), *filters}
            return Modelling(self._reading, self.calendar, question, formula.model, wanted).figures(names)
        if question.kpi.survives:
            return life_tables(self._reading, self.calendar, names, question)
        if not question.is_ranged:
            return gather(self._reading, self.calendar, cube, names, question)
        activities = (filters["activity"],) if "activity" in filters else ("order", "touchpoint")
        asked = ranged.Ranged(self._reading, self.calendar, question.as_of_us, activities)
        return asked.over(spans(question.span, question.grain), question.window)

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

    # cohorts: by the day on which a journey started

    def _cohort(
        self, what: Literal["stages", "transitions"], wanted: tuple[str, ...], question: CohortQuestion
    ) -> tuple[Totals, dict[Dims, Counts]]:
        totals: Totals = {}
        packed: dict[Dims, list[tuple[bytes, int]]] = {}
        counts: dict[Dims, Counts] = {}
        for cube in (BY_NAME[name] for name in cubes_of(what, question.journeys, question.unit)):
            names, spread_names = _set_for(cube, wanted, {}), cube.spread_set_for(frozenset(wanted)) or ()
            for row in self._reading.sums(cube, names, list(self._places(question))):
                add_to(totals, _among(names, row.dims, wanted), row.values)
            places = list(self._places(question, spread=True)) if spread_names else []
            for found in self._reading.histograms(cube, spread_names, places):
                packed.setdefault(_among(spread_names, found.dims, wanted), []).append((found.counts, found.sign))
            self._cut_cohort(cube, wanted, question, totals, counts)
        for dims, signed in packed.items():
            add_counts(counts.setdefault(dims, {}), merged(signed))
        return totals, counts

    def _cut_cohort(
        self, cube: Cube, wanted: tuple[str, ...], question: CohortQuestion, totals: Totals, counts: dict[Dims, Counts]
    ) -> None:
        later = cut(self._reading, self.calendar, cube, question.as_of_us)
        for (_, _, started, dims), values in later.cells.items():
            if question.span.start <= started < question.span.end:
                add_to(totals, _pick(cube, dims, wanted), [-value for value in values])
        for (_, _, started, dims), of_bucket in later.counts.items():
            if question.span.start <= started < question.span.end:
                negative = {bucket: -count for bucket, count in of_bucket.items()}
                add_counts(counts.setdefault(_pick(cube, dims, wanted), {}), negative)

    def _places(self, question: CohortQuestion, spread: bool = False) -> Iterable[Place]:
        """Where to read so that the sum is what is effective up to the day of as_of, of the cohorts asked for.

        Whole months of cohorts: everything, less what comes later. Single days: month by month up to as_of's, less what comes
        later in that month. Histograms (`spread`) are not kept by month and month.
        """
        last_day = self.calendar.day_of(question.as_of_us)
        this_month = month_of_day(last_day)
        next_month_start = first_day_of_month(this_month + 1)
        rest_of_month = range(last_day + 1, next_month_start)
        for segment in segments(Span(question.span.start, min(question.span.end, next_month_start))):
            cohorts = Span(segment.low, segment.high)
            if segment.grain == "m":
                yield Place("*m", (0,), cohorts)
                if not spread:
                    yield Place("mm", Span(this_month + 1, FOREVER), cohorts, -1)
                if spread or rest_of_month:
                    yield Place("dm", Span(last_day + 1, FOREVER) if spread else rest_of_month, cohorts, -1)
            else:
                yield Place("md", range(month_of_day(segment.low), this_month + 1), cohorts)
                if rest_of_month:
                    yield Place("dd", rest_of_month, cohorts, -1)


def _answered(question: KpiQuestion, cube: Cube, values: Sequence[int], counts: Counts, more: Mapping[str, int]) -> Row:
    """What a row says beside its period and dimensions; `more` are measures of another cube."""
    measures = {**dict(zip(cube.measures, values, strict=False)), **more}
    answer = question.kpi.formula.answer(measures, question.grain, counts)
    return {
        "value": answer.value,
        "numerator": answer.numerator,
        "denominator": answer.denominator,
        "n": answer.n,
        "low": answer.low,
        "high": answer.high,
        "open": answer.open,
        **(answer.quantiles or {}),
        **(answer.also or {}),
    }


def split_of(question: KpiQuestion) -> tuple[str, ...]:
    """The dimensions of rows: those asked for, and those across which nothing is ever added."""
    apart = (name for name in question.kpi.per if name not in question.by and name not in question.filters)
    return (*question.by, *apart)


def cube_of(kpi: Kpi, grain: Grain) -> Cube:
    """The cube that answers questions of this grain."""
    return kpi.formula.since if grain == "none" and isinstance(kpi.formula, Distinct) else kpi.cube_for(grain)


def _one(combinations: list[Dims], apart: tuple[str, ...]) -> list[Dims]:
    """Amounts of several currencies, scores of several scales are never added: without `by` there may be one.

    What has none (orders of unknown worth) is not counted.
    """
    known = [dims for dims in combinations if None not in dims]
    if len(known) > 1:
        several = "; ".join(" ".join(map(str, dims)) for dims in known)
        names = ",".join(apart)
        raise Rejected(f"{apart[0]}_needed", f"there are several ({several}); add by={names}, or {apart[0]}=… for one", "/by")
    return known or [(None,) * len(apart)]


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


def _pick(cube: Cube, dims: Dims, names: tuple[str, ...]) -> Dims:
    return tuple(dims[cube.dims.index(name)] for name in names)


def _among(names: tuple[str, ...], dims: Dims, wanted: tuple[str, ...]) -> Dims:
    return tuple(dims[names.index(name)] for name in wanted)


def sortable(dims: Dims) -> tuple[tuple[bool, str], ...]:
    """In the order of their text, None last."""
    return tuple((value is None, value or "") for value in dims)
