"""The KPIs of attribution. What each counts is in `attribution.py`, and how paths are modelled in `paths.py`."""

from __future__ import annotations

from dataclasses import dataclass

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import Answer, Kpi, Measures, Side, Terms
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts

_TOUCHES = (
    "A touch is the marketing channel of a visit, or of a customer touchpoint with a campaign; repeats are kept. A path is the last 50 "
    "touches within the lookback (30 days unless configured) before the order, also across an earlier order. Orders without a touch are "
    "credited to no channel. Dated by the order, without orders that were cancelled."
)
_RULES = {
    "first": (
        "First touch",
        "All to the first touch within the lookback, however long the path is.",
        "Google Analytics, first click",
    ),
    "last": ("Last touch", "All to the last touch before the order.", "Google Analytics, last click"),
    "last_nondirect": (
        "Last non-direct touch",
        "All to the last touch that is not direct; to direct where every touch is.",
        "Google Analytics, last non-direct click",
    ),
    "linear": ("Linear", "The same to every touch of the path.", "Google Analytics, linear"),
    "linear_exposure": (
        "Linear by exposure",
        "The same to every run of touches of one channel, given to the first of the run.",
        "Fractribution, path transform exposure",
    ),
    "position": (
        "Position-based",
        "40 % to the first touch of the path, 40 % to the last, 20 % evenly to those between; halves where there are two.",
        "Google Analytics, position based",
    ),
    "decay": (
        "Time-decay",
        "Half as much for every seven days that a touch lies before the last one.",
        "Google Analytics, time decay",
    ),
}


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


def _orders(rule: str, title: str, words: str, source: str) -> Kpi:
    definition = f"Orders, credited to the marketing touches before them. {words} {_TOUCHES}"
    cube = BY_NAME["attribution"]
    return Kpi(f"attribution_{rule}", f"{title}: orders", "count", cube, Credit(rule, rule), definition, source)


def _revenue(rule: str, title: str, words: str, source: str) -> Kpi:
    definition = f"The gross worth of orders, per currency, credited to the marketing touches before them. {words} {_TOUCHES}"
    cube, formula = BY_NAME["attributed_revenue"], Credit(rule, "orders")
    id = f"attributed_revenue_{rule}"
    return Kpi(id, f"{title}: revenue", "currency", cube, formula, definition, source, per=("currency",))


ATTRIBUTION_KPIS: tuple[Kpi, ...] = (
    *(_orders(rule, *words) for rule, words in _RULES.items()),
    *(_revenue(rule, *words) for rule, words in _RULES.items()),
)
