"""Formulas that contacts alone need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from services.metrics.domain.kpis import Answer, Kpi, Measures, Side, Terms, mean_of
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts
from services.metrics.domain.statistics import difference, mean_of_sums, net_score

_MS_PER_MINUTE = 60_000
_MICROS = 1_000_000


class Price(NamedTuple):
    """What a handled minute costs."""

    micros: int
    currency: str


def price_of(text: str) -> Price | None:
    """A price as it is set: 0.85 EUR; None for nothing."""
    amount, _, currency = text.partition(" ")
    return Price(int(Decimal(amount) * _MICROS), currency) if text else None


@dataclass(frozen=True)
class Cost:
    """The handled time of cases at the configured price of a minute, per case; no value where none is configured."""

    total: str
    n: str
    price: Price | None = None

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total, n = measures[self.total], measures[self.n]
        if self.price is None:
            return Answer(None, total, n, n, also={"currency": None})
        value = total * self.price.micros / (_MS_PER_MINUTE * _MICROS * n) if n else None
        return Answer(value, total, n, n, also={"currency": self.price.currency})

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return mean_of(self.total, self.n, side)

    def text(self) -> str:
        return f"{self.total} / {_MS_PER_MINUTE:,} × cost per handled minute / {self.n}"


def priced(kpi: Kpi, price: Price | None) -> Kpi:
    """The KPI at this price of a handled minute, if it has any use for it."""
    return replace(kpi, formula=replace(kpi.formula, price=price)) if isinstance(kpi.formula, Cost) else kpi


@dataclass(frozen=True)
class Load:
    """How much came, and beside it how many agents were seen: `agent_hours`, and what came for each of those."""

    total: str

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        total, hours = measures[self.total], measures["agent_hours"]
        also = {"agent_hours": hours, "per_agent_hour": total / hours if hours else None}
        return Answer(total, total, None, total, also=also)

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {self.total: 1} if side == "numerator" else None

    def text(self) -> str:
        return f"{self.total}; beside it agent_hours and {self.total} / agent_hours"


@dataclass(frozen=True)
class OutreachEffect:
    """By how many points the share of people who ask changes: against the controls, else against the same people before."""

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        asked, reached, control = measures["asked"], measures["reached"], measures["control"]
        gained, lost = measures["only_after"], measures["only_before"]
        against = measures["control_asked"] if control else asked - gained + lost
        whole = control or reached
        interval = difference(asked, reached, against, control) if control else net_score(gained, lost, reached)
        low, high = (100 * interval[0], 100 * interval[1]) if interval else (None, None)
        rate, other = _percent(asked, reached), _percent(against, whole)
        value = None if rate is None or other is None else rate - other
        also = {"rate": rate, "against": "control" if control else "before", "rate_against": other}
        return Answer(value, asked, reached, reached + control, low, high, measures["open"], also=also)

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {"numerator": {"asked": 1}, "denominator": {"reached": 1}, "open": {"open": 1}}[side]

    def text(self) -> str:
        return "100 × (asked / reached − control_asked / control); without controls 100 × (only_after − only_before) / reached"


@dataclass(frozen=True)
class Change:
    """By how many points the answers of the same people differ: the mean of the pairs' differences, with its interval."""

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        change, pairs = measures["change"], measures["pairs"]
        interval = mean_of_sums(change, measures["squares"], pairs)
        low, high = (100 * interval[0], 100 * interval[1]) if interval else (None, None)
        also = {"before": _percent(measures["before"], pairs), "after": _percent(measures["after"], pairs)}
        return Answer(_percent(change, pairs), change, pairs, pairs, low, high, also=also)

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return mean_of("change", "pairs", side)

    def text(self) -> str:
        return "100 × change / pairs"


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
