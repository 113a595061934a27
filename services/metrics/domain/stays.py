"""How long journeys stay in a stage: what they add when they reach it, when they reach a later one, and when they are over.

A journey that had no touchpoint in its entry stage when it reached a later one has not stayed there. Days are those of the calendar from
the one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.calendar import Calendar
from schemas.facts import Cohort, Ended, Step
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cube import Cube, Dims

_DIMS = ("stage", "entry_stage", "channel")
_SETS = (("stage", "entry_stage"), ("stage", "channel"))


def _stays(name: str, measures: tuple[str, ...], spread: str | None) -> Cube:
    kinds, spread_sets = ("step", "ended"), _SETS if spread is not None else ()
    return Cube(
        name, _DIMS, _SETS, measures, kinds, "dated", spread=spread, spread_sets=spread_sets, signed=True, reaches_back=True
    )


STAY_CUBES: tuple[Cube, ...] = (
    _stays("stays", ("entered", "left", "ended", "time_ms"), "time_ms"),
    _stays("stays_left", ("left", "days"), "days"),
    _stays("stays_ended", ("ended", "days"), "days"),
    _stays("stays_now", ("still",), None),
)
"""What is `still` there comes to nothing once everybody has left or the journeys are over: as of now, few of its rows are to be read."""


def of_step(fact: Step, calendar: Calendar) -> Iterator[Contribution]:
    """A stage is reached, dated now, and another one left, dated when that was reached."""
    if fact.unit != "journey":
        return
    day = calendar.day_of(fact.at_us)
    yield Contribution("stays", "entered", fact.at_us, day, _dims(fact.to_stage, fact.cohort), 1)
    yield Contribution("stays_now", "still", fact.at_us, day, _dims(fact.to_stage, fact.cohort), 1)
    if fact.from_stage is None or fact.since_us is None:
        return
    since, dims = calendar.day_of(fact.since_us), _dims(fact.from_stage, fact.cohort)
    yield Contribution("stays_now", "still", fact.at_us, since, dims, -1)
    if fact.time_ms is None:
        yield Contribution("stays", "entered", fact.at_us, since, dims, -1)
        return
    yield Contribution("stays", "left", fact.at_us, since, dims, 1)
    yield Contribution("stays", "time_ms", fact.at_us, since, dims, fact.time_ms)
    yield Contribution("stays_left", "left", fact.at_us, since, dims, 1)
    yield Contribution("stays_left", "days", fact.at_us, since, dims, day - since)


def of_end(fact: Ended, calendar: Calendar) -> Iterator[Contribution]:
    """The journey is over in its furthest stage."""
    if fact.reached_us is None:
        return
    since, dims = calendar.day_of(fact.reached_us), _dims(fact.furthest_stage, fact.cohort)
    yield Contribution("stays", "ended", fact.at_us, since, dims, 1)
    yield Contribution("stays_now", "still", fact.at_us, since, dims, -1)
    yield Contribution("stays_ended", "ended", fact.at_us, since, dims, 1)
    yield Contribution("stays_ended", "days", fact.at_us, since, dims, calendar.day_of(fact.at_us) - since)


def _dims(stage: str, cohort: Cohort) -> Dims:
    return stage, cohort.entry_stage, cohort.channel
