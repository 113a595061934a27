"""The KPIs of repeated purchases and of who stays. What each counts is in `loyalty.py`."""

from __future__ import annotations

from dataclasses import dataclass

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Answer, Formula, Kpi, KpiUnit, Measures, Share, Side, Terms, Total
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts
from services.metrics.domain.windows import GRAINS

_CUBES: dict[Grain, str] = {grain: f"loyalty.{grain}" for grain in GRAINS}
_RETENTION_GRAINS: tuple[Grain, ...] = ("week", "month", "quarter", "year", "none")
_LOYALTY = "Reichheld and Sasser: Zero Defections: Quality Comes to Services. Harvard Business Review, September 1990"
_WINDOWS = (
    "Active is who ordered (or, with activity=touchpoint, did anything) in a window as long as the period: at its start in the window "
    "before it, at its end in the period itself."
)


@dataclass(frozen=True)
class Lost:
    """Who was there at the start and is not at the end: `started` less `retained`, in number or in percent of `started`."""

    in_percent: bool = False

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        started, lost = measures["started"], measures["started"] - measures["retained"]
        if not self.in_percent:
            return Answer(lost, lost, None, started, open=measures["open"])
        return Share("lost", "started", open="open").answer({**measures, "lost": lost}, grain, counts)

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        sides: dict[Side, Terms] = {"numerator": {"started": 1, "retained": -1}, "open": {"open": 1}}
        return sides.get(side) if side != "denominator" or not self.in_percent else {"started": 1}

    def text(self) -> str:
        return "100 × (started − retained) / started" if self.in_percent else "started − retained"


def _kpi(id: str, title: str, unit: KpiUnit, formula: Formula, definition: str, source: str = OWN, **fixed: str) -> Kpi:
    grains: tuple[Grain, ...] = ("day", *_RETENTION_GRAINS) if fixed else _RETENTION_GRAINS
    cubes = {grain: BY_NAME[name] for grain, name in _CUBES.items()}
    return Kpi(
        id,
        title,
        unit,
        BY_NAME["loyalty.month"],
        formula,
        definition,
        source,
        grains=grains,
        cubes=cubes,
        ranged=True,
        fixed=fixed,
    )


LOYALTY_KPIS: tuple[Kpi, ...] = (
    _kpi(
        "buyers",
        "Buyers",
        "count",
        Total("buyers"),
        "Distinct people with an order in the period that stands.",
        activity="order",
    ),
    _kpi(
        "repeat_rate",
        "Repeat rate",
        "percent",
        Share("repeated", "buyers"),
        "People with orders that stand on at least two calendar days of the period, among those with any in it.",
        activity="order",
    ),
    _kpi(
        "repeat_rate_by_orders",
        "Repeat rate by orders",
        "percent",
        Share("repeated_orders", "buyers"),
        "People with at least two orders in the period that stand, also of one day, among those with any in it.",
        activity="order",
    ),
    _kpi(
        "retention_rate",
        "Retention rate",
        "percent",
        Share("retained", "started", open="open"),
        f"Of the people active at the start of the period, those active at its end; open until it is over. {_WINDOWS}",
        _LOYALTY,
    ),
    _kpi(
        "churn_rate",
        "Churn rate",
        "percent",
        Lost(in_percent=True),
        f"Of the people active at the start of the period, those not active at its end; open until it is over. {_WINDOWS}",
        _LOYALTY,
    ),
    _kpi(
        "lapsed_people",
        "Lapsed people",
        "count",
        Lost(),
        f"People active at the start of the period and not at its end; open until it is over. {_WINDOWS}",
    ),
    _kpi(
        "new_people",
        "New people",
        "count",
        Total("new"),
        f"People active at the end of the period who never were before it. {_WINDOWS}",
    ),
    _kpi(
        "reactivated_people",
        "Reactivated people",
        "count",
        Total("reactivated"),
        f"People active at the end of the period and not at its start, but at some time before. {_WINDOWS}",
    ),
)
