"""How far a journey has got: stages reached, touched, skipped, and the time spent in them.

The same progress is kept twice for a person: for each journey, and for the person's whole history as one (`unit` person).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from schemas.facts import Cohort, Step, Touched, Unit
from schemas.touchpoint import STAGES, Stage

INDEX: dict[str, int] = {stage: index for index, stage in enumerate(STAGES)}


class Progress(Struct, array_like=True):
    """`furthest` and `last` are indices of stages: how far it got, and where its newest touchpoint counted.

    `reached_us` is when `furthest` was reached; `touched` has a bit for each stage that has had a touchpoint.
    """

    cohort: Cohort
    furthest: int
    reached_us: int
    touched: int = 0
    last: int = -1


def started(unit: Unit, cohort: Cohort, adopted: dict[Stage, int]) -> tuple[Progress, Step]:
    """A journey starts in its entry stage, whatever the stage of its first touchpoint."""
    step = Step(unit=unit, cohort=cohort, at_us=cohort.started_us, from_stage=None, to_stage=cohort.entry_stage, adopted=adopted)
    return Progress(cohort, INDEX[cohort.entry_stage], cohort.started_us), step


def touch(unit: Unit, progress: Progress, at_us: int, stage: int) -> Iterator[Step | Touched]:
    """A touchpoint counts in `stage` at `at_us`: what that is the first of.

    A stage beyond the furthest is reached; those between were skipped. The stage left behind has a time only if it was
    touched by then.
    """
    if stage > progress.furthest:
        left = progress.furthest
        was_touched = progress.touched >> left & 1
        yield Step(
            unit=unit,
            cohort=progress.cohort,
            at_us=at_us,
            from_stage=STAGES[left],
            to_stage=STAGES[stage],
            skipped=list(STAGES[left + 1 : stage]),
            since_us=progress.reached_us,
            time_ms=(at_us - progress.reached_us) // 1000 if was_touched else None,
        )
        progress.furthest, progress.reached_us = stage, at_us
    if not progress.touched >> stage & 1:
        progress.touched |= 1 << stage
        yield Touched(unit=unit, cohort=progress.cohort, at_us=at_us, stage=STAGES[stage])
