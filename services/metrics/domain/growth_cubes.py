"""The cubes of referrals, reviews, moods, experiments and recommendations."""

from __future__ import annotations

from services.metrics.domain.cube import Cube

_SEEN = ("experiment", "variant", "channel", "source")
_SEEN_SETS = (("experiment", "variant", "channel"), ("experiment", "variant", "source"))
_SAID = ("stage", "channel", "topic", "source")


def _experiment(name: str, *measures: str, spread: str | None = None) -> Cube:
    spread_sets = _SEEN_SETS if spread else ()
    return Cube(name, _SEEN, _SEEN_SETS, measures, ("exposure",), "dated", spread=spread, spread_sets=spread_sets, signed=True)


GROWTH_CUBES: tuple[Cube, ...] = (
    Cube(
        "introduced",
        ("referred", "channel", "source"),
        (("referred", "channel"), ("referred", "source")),
        ("journeys", "bought"),
        ("introduced",),
        "dated",
        signed=True,
    ),
    Cube(
        "reviews",
        ("scale", "product", "channel", "source"),
        (("scale", "channel"), ("scale", "product"), ("scale", "source")),
        ("reviews", "rating", "squares"),
        ("voice",),
    ),
    Cube(
        "moods",
        _SAID,
        (("stage", "channel"), ("topic",), ("source",)),
        ("given", "mood", "squares", "negative"),
        ("voice",),
        signed=True,
    ),
    Cube("told", ("channel", "source"), (("channel",), ("source",)), ("referrals", "shares"), ("voice",)),
    _experiment("experiments", "exposed", "excluded", "converted"),
    _experiment("experiment_times", "visits", "time_ms", spread="time_ms"),
    Cube(
        "experiment_worth",
        ("currency", *_SEEN),
        tuple(("currency", *names) for names in _SEEN_SETS),
        ("gross_micros",),
        ("exposure",),
        "dated",
        signed=True,
    ),
    Cube(
        "recommended",
        ("recommendation", "product", "channel", "source"),
        (("recommendation", "product"), ("channel",), ("source",)),
        ("shown", "clicked", "open", "decided", "bought"),
        ("recommended",),
        "dated",
        signed=True,
    ),
)
