"""The stage table of DESIGN.md section 9, `GET /v1/stages`, counted from the journeys of a list of people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.model import Touchpoint
from tests.model.journeys import STAGES, TIMEOUT_US, Journey, journeys


@dataclass(frozen=True)
class StageRow:
    """One stage of a cohort. `times_ms` are the times in the stage, sorted, each cut to whole milliseconds."""

    stage: str
    touchpoints: int
    touched: int
    reached: int
    conversion: Fraction | None
    dropped: int
    in_stage_now: int
    skipped: int
    times_ms: tuple[int, ...]


@dataclass(frozen=True)
class StageTable:
    journeys: int
    stages: tuple[StageRow, ...]


def stage_table(
    people: Iterable[Sequence[Touchpoint]],
    from_us: int,
    to_us: int,
    as_of_us: int,
    which: str = "new",
    unit: str = "journey",
    timeout_us: int = TIMEOUT_US,
) -> StageTable:
    """The journeys that started in [from, to), as they stood at `as_of_us`. `which`: new, returning or all."""
    cohort: list[Journey] = []
    for touchpoints in people:
        known = [touchpoint for touchpoint in touchpoints if touchpoint["time_us"] <= as_of_us]
        cohort += journeys(known, timeout_us if unit == "journey" else None)
    cohort = [journey for journey in cohort if from_us <= journey.started_us < to_us and is_asked_for(journey, which)]
    rows: list[StageRow] = []
    for stage in STAGES:
        rows.append(row(cohort, stage, as_of_us, rows[-1].reached if rows else 0))
    return StageTable(len(cohort), tuple(rows))


def is_asked_for(journey: Journey, which: str) -> bool:
    """New journeys enter at awareness, returning ones at loyalty."""
    return which == "all" or (journey.entry_stage == "awareness") == (which == "new")


def is_over(journey: Journey, as_of_us: int) -> bool:
    return journey.over_us is not None and journey.over_us <= as_of_us


def row(cohort: Sequence[Journey], stage: str, as_of_us: int, reached_before: int) -> StageRow:
    """`reached`: got there or further (a journey that enters at loyalty is further than the stages before it)."""
    reached = sum(STAGES.index(journey.furthest_stage) >= STAGES.index(stage) for journey in cohort)
    here = [journey for journey in cohort if journey.furthest_stage == stage]
    over = sum(is_over(journey, as_of_us) for journey in here)
    times = [journey.stages[stage].time_us for journey in cohort]
    return StageRow(
        stage=stage,
        touchpoints=sum(journey.stages[stage].touchpoints for journey in cohort),
        touched=sum(journey.stages[stage].touched_us is not None for journey in cohort),
        reached=reached,
        conversion=Fraction(reached, reached_before) if reached_before else None,
        dropped=over,
        in_stage_now=len(here) - over,
        skipped=sum(journey.stages[stage].skipped for journey in cohort),
        times_ms=tuple(sorted(time // 1000 for time in times if time is not None)),
    )
