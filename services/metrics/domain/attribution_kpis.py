"""The KPIs of attribution. What each counts is in `attribution.py`, what models make of all paths in `path_models.py`."""

from __future__ import annotations

from collections.abc import Iterator

from services.metrics.domain.credit import Credit, Model, Modelled
from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Kpi, Total
from services.metrics.domain.marketing_cubes import MODELLED_ORDERS, MODELLED_REVENUE

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


def _orders(rule: str, title: str, words: str, source: str) -> Kpi:
    definition = f"Orders, credited to the marketing touches before them. {words} {_TOUCHES}"
    cube = BY_NAME["attribution"]
    return Kpi(f"attribution_{rule}", f"{title}: orders", "count", cube, Credit(rule, rule), definition, source)


def _revenue(rule: str, title: str, words: str, source: str) -> Kpi:
    definition = f"The gross worth of orders, per currency, credited to the marketing touches before them. {words} {_TOUCHES}"
    cube, formula = BY_NAME["attributed_revenue"], Credit(rule, "orders")
    id = f"attributed_revenue_{rule}"
    return Kpi(id, f"{title}: revenue", "currency", cube, formula, definition, source, per=("currency",))


_MODELS: dict[Model, tuple[str, str, str]] = {
    "markov": (
        "Markov removal effect",
        "In proportion to by how much fewer paths of a first-order Markov chain would convert if whoever comes to the channel was lost; "
        "the chain's steps are those of all paths of the period, also of those without an order, dated by their last touch.",
        "Anderl et al., IJRM 33 (2016); Archak et al., WWW 2010",
    ),
    "shapley": (
        "Shapley value",
        "For each set of channels that converted, in proportion to by how much the share of converting paths is larger with exactly this "
        "set than with the set without the channel; evenly where it is larger for none. Paths without an order count with their last touch.",
        "Fractribution's simplified Shapley value (Google, 2019)",
    ),
}


def _model(rule: Model, title: str, words: str, source: str) -> Iterator[Kpi]:
    formula = Modelled("credit", "orders", rule)
    orders = f"Orders, credited to marketing channels by all paths. {words} {_TOUCHES}"
    yield Kpi(f"attribution_{rule}", f"{title}: orders", "count", MODELLED_ORDERS, formula, orders, source, exploratory=True)
    revenue = f"The gross worth of orders, per currency, credited to marketing channels by all paths. {words} {_TOUCHES}"
    id = f"attributed_revenue_{rule}"
    yield Kpi(
        id, f"{title}: revenue", "currency", MODELLED_REVENUE, formula, revenue, source, per=("currency",), exploratory=True
    )


ATTRIBUTION_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "marketing_touches",
        "Marketing touches",
        "count",
        BY_NAME["touches"],
        Total("touches"),
        "Visits by the marketing channel that they came through, and customer touchpoints with a campaign; inside a visit a campaign "
        "that was just seen is no further touch.",
        source=OWN,
    ),
    *(_orders(rule, *words) for rule, words in _RULES.items()),
    *(_revenue(rule, *words) for rule, words in _RULES.items()),
    *(kpi for rule, words in _MODELS.items() for kpi in _model(rule, *words)),
)
