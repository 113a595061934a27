"""What is added up: cubes of measures that share their dimensions and their times.

A cube is kept once per *dimension set*, so that the cost of a question is the product of the few dimensions asked for and not of
all there are. Rows are kept by day and by month; `hourly` cubes also by hour. In a cube with a `cohort` each row carries two days,
the one on which a contribution takes effect and the one by which it is picked: the day a journey started, the active day before, or
the day by which a figure is *dated* though part of it shows only later (a resolution is first-contact a week after it).
"""

from __future__ import annotations

from typing import Literal

from services.metrics.domain.contact_cubes import CASE, CASE_SETS, CONTACT_CUBES
from services.metrics.domain.cube import WIDTH, Cube, Dims
from services.metrics.domain.growth_cubes import GROWTH_CUBES
from services.metrics.domain.loyalty_cubes import LOYALTY_CUBES
from services.metrics.domain.marketing_cubes import MARKETING_CUBES
from services.metrics.domain.purchase_cubes import PURCHASE_CUBES
from services.metrics.domain.stays import STAY_CUBES

__all__ = ["BY_NAME", "CUBES", "SIGNED_KEYS", "WIDTH", "Cube", "Dims"]

_FIRST = ("channel", "source", "campaign", "marketing_channel")
"""Of a journey's first customer touchpoint."""


def _stages(name: str) -> Cube:
    return Cube(
        name,
        dims=("stage", *_FIRST),
        sets=(("stage",), ("stage", "channel", "marketing_channel"), ("stage", "source", "campaign")),
        measures=("started", "reached", "left", "skipped", "dropped", "touched", "touchpoints", "time_ms"),
        kinds=("day", "step", "touched", "ended"),
        cohort="started",
        spread="time_ms",
        spread_sets=(("stage",), *(("stage", first) for first in _FIRST)),
    )


def _transitions(name: str) -> Cube:
    return Cube(
        name,
        dims=("from", "to", *_FIRST),
        sets=tuple(("from", "to", first) for first in _FIRST),
        measures=("transitions",),
        kinds=("transition", "ended"),
        cohort="started",
    )


_REASON = ("reason", "topic", "product", "feature")
_REASON_SETS = (("reason", "topic"), ("reason", "product", "feature"))
_SURVEY = ("stage", "channel", "topic", "source")
_SURVEY_SETS = (("stage", "channel"), ("topic",), ("source",))
_LEG = ("channel", "topic", "queue", "team", "agent")
_LEG_SETS = (("channel", "queue"), ("topic",), ("team", "agent"))


def _times(
    name: str,
    dims: tuple[str, ...],
    sets: tuple[tuple[str, ...], ...],
    counted: str,
    cohort: Literal["dated"] | None = None,
    *,
    signed: bool = False,
) -> Cube:
    """Durations in milliseconds, with histograms."""
    measures = (counted, "time_ms")
    return Cube(name, dims, sets, measures, ("case",), cohort, spread="time_ms", spread_sets=sets, signed=signed)


def _dated(name: str, *measures: str) -> Cube:
    """What cases come to, by the day to which it belongs."""
    return Cube(name, CASE, CASE_SETS, measures, ("case",), cohort="dated", signed=True)


def _with(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((*names, *of) for of in _SURVEY_SETS)


CUBES: tuple[Cube, ...] = (
    Cube(
        "touchpoints",
        dims=("stage", "channel", "type", "source"),
        sets=(("source",), ("type",), ("stage", "channel")),
        measures=("touchpoints",),
        kinds=("day",),
        hourly=True,
    ),
    Cube(
        "people",
        dims=("identified",),
        sets=(("identified",),),
        measures=("day", "week", "month", "quarter", "year"),
        kinds=("day",),
    ),
    Cube(
        "people_since",
        dims=("identified",),
        sets=(("identified",),),
        measures=("active_days",),
        kinds=("day",),
        cohort="previous",
    ),
    Cube(
        "visits",
        dims=("channel", "marketing_channel", "stage"),
        sets=(("channel", "marketing_channel"), ("stage",)),
        measures=("visits",),
        kinds=("visit",),
    ),
    Cube(
        "journeys",
        dims=("entry_stage", "channel"),
        sets=(("entry_stage", "channel"),),
        measures=("journeys",),
        kinds=("step",),
    ),
    Cube(
        "orders",
        dims=("currency", "stage", "channel", "source"),
        sets=(("currency", "stage"), ("currency", "channel"), ("currency", "source")),
        measures=("orders", "gross_micros", "refunded_micros"),
        kinds=("order",),
        signed=True,
    ),
    Cube(
        "order_fates",
        dims=("stage", "channel", "source", "marketing_channel"),
        sets=(("stage", "channel"), ("source",), ("marketing_channel",)),
        measures=("placed", "cancelled", "returned"),
        kinds=("order",),
        cohort="dated",
    ),
    *LOYALTY_CUBES,
    *PURCHASE_CUBES,
    *STAY_CUBES,
    *MARKETING_CUBES,
    *GROWTH_CUBES,
    Cube("cases", CASE, CASE_SETS, ("opened",), ("case",), hourly=True),
    Cube("reasons", _REASON, _REASON_SETS, ("cases",), ("case",)),
    _times("first_response", CASE, CASE_SETS, "responded"),
    _times("bot_response", CASE, CASE_SETS, "responded"),
    _times("first_resolution", CASE, CASE_SETS, "resolved"),
    _times("resolution", CASE, CASE_SETS, "resolved", cohort="dated", signed=True),
    _times("first_response_open", CASE, CASE_SETS, "responded"),
    _times("first_resolution_open", CASE, CASE_SETS, "resolved"),
    _times("resolution_open", CASE, CASE_SETS, "resolved", cohort="dated", signed=True),
    _dated("outcomes", "opened", "resolved", "transfers", "agents", "told_again"),
    _dated("repeats", "open", "decided", "repeated"),
    _dated("lasting", "resolved", "reopened", "open", "decided", "first_contact"),
    Cube(
        "legs",
        _LEG,
        _LEG_SETS,
        ("answered", "abandoned", "short", "within_20s", "within_1m", "within_5m", "within_60m"),
        ("case",),
    ),
    Cube("queued_legs", _LEG, _LEG_SETS, ("over", "abandoned"), ("case",)),
    _times("speed_of_answer", _LEG, _LEG_SETS, "answered"),
    _times("handling", _LEG, _LEG_SETS, "ended"),
    *CONTACT_CUBES,
    Cube("csat", _SURVEY, _SURVEY_SETS, ("answered", "satisfied"), ("survey",)),
    Cube("nps", _SURVEY, _SURVEY_SETS, ("answered", "promoters", "detractors"), ("survey",)),
    Cube("ces", _SURVEY, _SURVEY_SETS, ("answered", "easy"), ("survey",)),
    Cube("csat_scores", ("scale", *_SURVEY), _with("scale"), ("answered", "score", "squares"), ("survey",)),
    Cube("ces_scores", ("scale", "easy", *_SURVEY), _with("scale", "easy"), ("answered", "score", "squares"), ("survey",)),
    Cube(
        "sendings",
        ("survey_kind", *_SURVEY),
        _with("survey_kind"),
        ("sent", "answered"),
        ("survey",),
        cohort="dated",
    ),
    _stages("stages.new"),
    _stages("stages.returning"),
    _stages("stages.person"),
    _transitions("transitions.new"),
    _transitions("transitions.returning"),
)

BY_NAME = {cube.name: cube for cube in CUBES}
SIGNED_KEYS = frozenset(cube.key_of(names) for cube in CUBES if cube.signed for names in cube.sets)
