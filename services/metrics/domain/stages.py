"""The stage table and the transitions of a cohort of journeys, from sums of the stage and transition cubes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from schemas.touchpoint import STAGES
from services.metrics.domain.cubes import Dims
from services.metrics.domain.histogram import spread
from services.metrics.domain.rollups import Counts

Journeys = Literal["new", "returning", "all"]
Sums = Mapping[str, int]
Row = dict[str, object]

NOTHING: Sums = dict.fromkeys(("started", "reached", "left", "skipped", "dropped", "touched", "touchpoints", "time_ms"), 0)


def cubes_of(what: Literal["stages", "transitions"], journeys: Journeys, unit: Literal["journey", "person"]) -> tuple[str, ...]:
    """The cubes that a cohort is in. A person has one history: new, returning and all are the same people."""
    if unit == "person":
        return (f"{what}.person",)
    return tuple(f"{what}.{kind}" for kind in ("new", "returning") if journeys in (kind, "all"))


def stage_rows(by: tuple[str, ...], sums: Mapping[Dims, Sums], times: Mapping[Dims, Counts]) -> list[Row]:
    """The rows of the table: the five stages in order, for each combination of the dimensions in `by`.

    Keys of `sums` and `times` are (stage, *values of by). `conversion` is reached / reached of the stage before; null for the
    first stage and where nobody reached the stage before.
    """
    groups = sorted({dims[1:] for dims in sums}, key=_sortable) if by else [()]
    return [row for group in groups for row in _table(dict(zip(by, group, strict=True)), group, sums, times)]


def _table(
    named: Mapping[str, str | None], group: Dims, sums: Mapping[Dims, Sums], times: Mapping[Dims, Counts]
) -> Iterable[Row]:
    before: int | None = None
    for stage in STAGES:
        of = sums.get((stage, *group), NOTHING)
        time = spread(times.get((stage, *group), {}), of["time_ms"])
        yield {
            "stage": stage,
            **named,
            "touchpoints": of["touchpoints"],
            "touched": of["touched"],
            "reached": of["reached"],
            "conversion": of["reached"] / before if before else None,
            "dropped": of["dropped"],
            "in_stage_now": of["reached"] - of["left"] - of["dropped"],
            "skipped": of["skipped"],
            "time_in_stage": {
                "n": time.n,
                "mean_s": _seconds(time.mean),
                "p50_s": _seconds(time.p50),
                "p90_s": _seconds(time.p90),
                "p99_s": _seconds(time.p99),
            },
        }
        before = of["reached"]


def transition_rows(by: tuple[str, ...], sums: Mapping[Dims, Sums]) -> list[Row]:
    """Rows {from, to, *by, transitions}; from null is the start of a journey, to null that it was over. Keys: (from, to, *values of by)."""
    ordered = sorted(
        (dims for dims, of in sums.items() if of["transitions"]), key=lambda dims: (_sortable(dims[2:]), *_path(dims))
    )
    return [
        {"from": dims[0], "to": dims[1], **dict(zip(by, dims[2:], strict=True)), "transitions": sums[dims]["transitions"]}
        for dims in ordered
    ]


def _path(dims: Dims) -> tuple[int, int]:
    places: dict[str, int] = {stage: place for place, stage in enumerate(STAGES)}
    return (
        -1 if dims[0] is None else places.get(dims[0], len(places)),
        len(places) if dims[1] is None else places.get(dims[1], len(places)),
    )


def _sortable(dims: Dims) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in dims)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
