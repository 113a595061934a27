"""The cubes of what leads up to purchases, and what becomes of those who first bought then."""

from __future__ import annotations

from services.metrics.domain.cube import Cube

_ORDER = ("stage", "channel", "source", "marketing_channel")
_ORDER_SETS = (("stage", "channel"), ("source",), ("marketing_channel",))

PURCHASE_CUBES: tuple[Cube, ...] = (
    Cube(
        "purchases",
        _ORDER,
        _ORDER_SETS,
        ("purchases", "touchpoints", "channels", "over_four"),
        ("order",),
        cohort="dated",
        signed=True,
    ),
    Cube(
        "first_purchases",
        dims=("channel", "source", "marketing_channel"),
        sets=(("channel",), ("source",), ("marketing_channel",)),
        measures=("people", "time_ms"),
        kinds=("order",),
        cohort="dated",
        spread="time_ms",
        spread_sets=(("channel",), ("source",), ("marketing_channel",)),
        signed=True,
    ),
    Cube(
        "lifetimes",
        dims=("currency",),
        sets=(("currency",),),
        measures=("people", "gross_micros", "refunded_micros"),
        kinds=("order",),
        cohort="dated",
        signed=True,
        reaches_back=True,
    ),
    Cube(
        "purchase_cohorts",
        dims=("months_since",),
        sets=(("months_since",),),
        measures=("active",),
        kinds=("order",),
        cohort="dated",
        signed=True,
        reaches_back=True,
    ),
    Cube(
        "goals",
        dims=("goal", "stage", "channel"),
        sets=(("goal",), ("stage", "channel")),
        measures=("stated", "reached"),
        kinds=("goal",),
        cohort="dated",
    ),
    Cube(
        "channel_switches",
        dims=("from_channel", "to_channel"),
        sets=(("from_channel", "to_channel"),),
        measures=("switches",),
        kinds=("day",),
    ),
)
