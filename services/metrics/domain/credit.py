"""Formulas of credit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.metrics.domain.kpis import Answer, Measures, Side, Terms
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts

Model = Literal["markov", "shapley"]


@dataclass(frozen=True)
class Credit:
    """Credit in millionths, of orders or of a currency's units; `orders` names what counts orders, in millionths as well."""

    credit: str
    orders: str

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        credit, orders = measures[self.credit], measures[self.orders]
        return Answer(credit / 1_000_000, credit, None, (2 * orders + 1_000_000) // 2_000_000)

    def text(self) -> str:
        return f"{self.credit} / 1,000,000"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {self.credit: 1} if side == "numerator" else None


@dataclass(frozen=True)
class Modelled(Credit):
    """Credit that a model gives, computed from counts of paths when it is asked for."""

    model: Model

    def text(self) -> str:
        return f"{self.model}(steps and sets of paths) / 1,000,000"

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return None
