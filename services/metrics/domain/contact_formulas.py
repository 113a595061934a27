"""Formulas that contacts alone need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from services.metrics.domain.kpis import Answer, Kpi, Measures, Side, Terms, mean_of
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts

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
