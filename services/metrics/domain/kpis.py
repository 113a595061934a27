"""KPIs as declarations: a formula over measures, with everything that a reader needs to trust the number.

The API, the catalogue page and the documents are made from these; `catalogue.py` holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from services.metrics.domain import statistics
from services.metrics.domain.cubes import Cube
from services.metrics.domain.histogram import Spread, spread
from services.metrics.domain.lift import Against
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts
from services.metrics.domain.statistics import net_score, wilson

KpiUnit = Literal["count", "percent", "points", "currency", "seconds", "days", "ratio", "score"]
"""currency: units of the row's `currency`."""

Measures = Mapping[str, int]
"""Sums of a cube's measures."""

OWN = "Counted as the definition says; no standard fixes it."
"""The source of a KPI that follows no standard or paper."""

Side = Literal["numerator", "denominator", "open"]
Terms = Mapping[str, int]
"""A whole number of an answer as a sum over measures: {measure: how often it counts}."""


class Answer(NamedTuple):
    """One row's numbers, not rounded. `n` is the sample size, `low` and `high` the 95 % interval; None: there is none.

    `open`: cases of which it can't be said yet. `quantiles` by name (p50, p90, p99), of durations only; `also`: further fields.
    """

    value: float | None
    numerator: int | None
    denominator: int | None
    n: int
    low: float | None = None
    high: float | None = None
    open: int = 0
    quantiles: Mapping[str, float | None] | None = None
    also: Mapping[str, float | str | None] | None = None


class Formula(Protocol):
    """Turns sums of measures, and the histogram of the cube's spread, into a KPI's answer."""

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer: ...

    def text(self) -> str:
        """The formula as it is shown in the catalogue."""
        ...

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        """What a number of the answer is the sum of, for its evidence; None: there is no such number."""
        ...


@dataclass(frozen=True)
class Total:
    """The sum of one measure, `less` another. `per` divides it (1,000,000 micro-units are one unit); `n` names what counts the sample."""

    measure: str
    per: int = 1
    n: str | None = None
    less: str | None = None

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total = measures[self.measure] - (measures[self.less] if self.less else 0)
        value = total if self.per == 1 else total / self.per
        return Answer(value, total, None, measures[self.n] if self.n else total)

    def text(self) -> str:
        total = f"{self.measure} − {self.less}" if self.less else self.measure
        return total if self.per == 1 else f"{f'({total})' if self.less else total} / {self.per:,}"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {self.measure: 1, **({self.less: -1} if self.less else {})} if side == "numerator" else None


@dataclass(frozen=True)
class Share:
    """`part` of `whole` (a measure, or the sum of several) in percent, with Wilson's interval; no value where `whole` is 0.

    `open` names the measure of what is undecided.
    """

    part: str
    whole: str | tuple[str, ...]
    open: str | None = None

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        part, whole = measures[self.part], sum(measures[name] for name in self._wholes)
        interval = wilson(part, whole)
        low, high = (100 * interval[0], 100 * interval[1]) if interval else (None, None)
        undecided = measures[self.open] if self.open else 0
        return Answer(100 * part / whole if whole else None, part, whole, whole, low, high, undecided)

    @property
    def _wholes(self) -> tuple[str, ...]:
        return (self.whole,) if isinstance(self.whole, str) else self.whole

    def text(self) -> str:
        wholes = " + ".join(self._wholes)
        return f"100 × {self.part} / {wholes}" if len(self._wholes) == 1 else f"100 × {self.part} / ({wholes})"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        if side == "open":
            return {self.open: 1} if self.open else None
        return {self.part: 1} if side == "numerator" else dict.fromkeys(self._wholes, 1)


@dataclass(frozen=True)
class NetScore:
    """(`plus` − `minus`) of `whole` in points from −100 to 100, with the interval of a difference of two proportions."""

    plus: str
    minus: str
    whole: str

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        plus, minus, whole = measures[self.plus], measures[self.minus], measures[self.whole]
        interval = net_score(plus, minus, whole)
        low, high = (100 * interval[0], 100 * interval[1]) if interval else (None, None)
        return Answer(100 * (plus - minus) / whole if whole else None, plus - minus, whole, whole, low, high)

    def text(self) -> str:
        return f"100 × ({self.plus} − {self.minus}) / {self.whole}"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {"numerator": {self.plus: 1, self.minus: -1}, "denominator": {self.whole: 1}}.get(side)


@dataclass(frozen=True)
class Duration:
    """The mean of a cube's spread in seconds, with its interval and the quantiles; `total` is the sum in milliseconds, `n` counts it."""

    total: str
    n: str

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total, n = measures[self.total], measures[self.n]
        of = spread(counts, total)
        interval = statistics.mean(counts, of.mean) if of.mean is not None else None
        low, high = interval if interval else (None, None)
        return Answer(_seconds(of.mean), total, n, n, _seconds(low), _seconds(high), quantiles=_quantiles(of))

    def text(self) -> str:
        return f"{self.total} / {self.n} / 1,000"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return mean_of(self.total, self.n, side)


@dataclass(frozen=True)
class MeanScore:
    """The mean of scores on one scale, kept in thousandths, with the interval of a mean from the sum of squares."""

    total: str
    squares: str
    n: str

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total, n = measures[self.total], measures[self.n]
        interval = statistics.mean_of_sums(total, measures[self.squares], n)
        low, high = (interval[0] / 1000, interval[1] / 1000) if interval else (None, None)
        return Answer(total / n / 1000 if n else None, total, n, n, low, high)

    def text(self) -> str:
        return f"{self.total} / {self.n} / 1,000"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return mean_of(self.total, self.n, side)


@dataclass(frozen=True)
class Average:
    """A measure over another, such as transfers a case or money an order; `per` divides it; no interval."""

    total: str
    n: str
    per: int = 1

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total, n = measures[self.total], measures[self.n]
        return Answer(total / n / self.per if n else None, total, n, n)

    def text(self) -> str:
        return f"{self.total} / {self.n}" if self.per == 1 else f"{self.total} / {self.n} / {self.per:,}"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return mean_of(self.total, self.n, side)


@dataclass(frozen=True)
class Per:
    """`times` `total` for each of what another KPI counts (`Kpi.beside`, whose id `n` is). No interval: one may count several times."""

    total: str
    n: str
    times: int = 1

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total, n = measures[self.total], measures[self.n]
        return Answer(self.times * total / n if n > 0 else None, total, n, n)

    def text(self) -> str:
        return f"{self.total} / {self.n}" if self.times == 1 else f"{self.times:,} × {self.total} / {self.n}"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return mean_of(self.total, self.n, side)


@dataclass(frozen=True)
class PerPerson:
    """Money for each of the people that another KPI counts (`Kpi.beside`, whose id `n` is)."""

    total: str
    n: str

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total, n = measures[self.total], measures[self.n]
        return Answer(total / n / 1_000_000 if n > 0 else None, total, n, n)

    def text(self) -> str:
        return f"{self.total} / {self.n} / 1,000,000"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {self.total: 1} if side == "numerator" else None


@dataclass(frozen=True)
class Distinct:
    """Distinct people of a period: the active days whose previous active day lies before the period.

    Each calendar grain has a measure of its own; grain none is answered from a cube by the previous active day.
    """

    since: Cube

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total = sum(measures.values()) if grain == "none" else measures[grain]
        return Answer(total, total, None, total)

    def text(self) -> str:
        return "active days whose previous active day lies before the period"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {self.since.measures[0] if grain == "none" else grain: 1} if side == "numerator" else None


@dataclass(frozen=True)
class Kpi:
    """`per` are dimensions across which nothing is ever added: every answer is given for each of their values.

    `beside` is a KPI over another cube: its numerator in the whole period, by no dimension but those of `beside_by` that are asked for,
    is a measure of its id in every row.
    `seen` is an hourly cube by channel and agent: how many agents were seen in each hour, added up, is the measure `agent_hours`.
    `cubes` are in place of `cube` for some grains, with the same dimensions and measures. `ranged`: grain none is answered from the
    people's days (`ranged.py`). `fixed` dimensions have one value and can't be asked for. `against` says which rows are compared with
    which, where they are given by its dimension. `survives`: its histograms are life tables (`survival.py`).
    `is_told`: whether there is an answer to a period (its first day) and dimensions yet, on the day asked about.
    `exploratory`: more is worked out at each question than sums are added up, so that it may take over 10 ms.
    """

    id: str
    title: str
    unit: KpiUnit
    cube: Cube
    formula: Formula
    definition: str
    source: str = ""
    grains: tuple[Grain, ...] = ("day", "week", "month", "quarter", "year", "none")
    per: tuple[str, ...] = ()
    beside: Kpi | None = None
    beside_by: tuple[str, ...] = ()
    seen: Cube | None = None
    cubes: Mapping[Grain, Cube] = field(default_factory=dict)
    ranged: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict)
    against: Against | None = None
    survives: bool = False
    is_told: Callable[[int, Mapping[str, str | None], int], bool] | None = None
    exploratory: bool = False

    @property
    def dimension_sets(self) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(name for name in names if name not in self.fixed) for names in self.cube.sets)

    @property
    def dimensions(self) -> tuple[str, ...]:
        return tuple(name for name in self.cube.dims if any(name in names for names in self.dimension_sets))

    def cube_for(self, grain: Grain) -> Cube:
        """The cube from which a question of this grain is answered."""
        return self.cubes.get(grain, self.cube)


def mean_of(total: str, n: str, side: Side) -> Terms | None:
    """The terms of a measure over another."""
    return {"numerator": {total: 1}, "denominator": {n: 1}}.get(side)


def _quantiles(of: Spread) -> dict[str, float | None]:
    return {"p50": _seconds(of.p50), "p90": _seconds(of.p90), "p99": _seconds(of.p99)}


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
