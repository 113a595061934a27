"""The life table of stays in a stage: by days, who left, and who was lost sight of because the journey was over or it is not later yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.calendar import Calendar
from services.metrics.domain.cubes import BY_NAME, Cube
from services.metrics.domain.histogram import BUCKETS
from services.metrics.domain.periods import Grain, Span, start_of
from services.metrics.domain.stay_kpis import censored
from services.metrics.figures import Asked, Figures, gather
from services.metrics.store.reading import Reading


@dataclass(frozen=True)
class _Daily:
    """The same question, day by day."""

    span: Span
    as_of_us: int
    grain: Grain = "day"


def life_tables(reading: Reading, calendar: Calendar, cube: Cube, names: tuple[str, ...], question: Asked) -> dict[int, Figures]:
    """Figures by period, with the histograms that `Survival` takes."""
    found: dict[int, Figures] = {}
    for one, offset in ((BY_NAME["stays_left"], 0), (BY_NAME["stays_ended"], BUCKETS)):
        for period, figures in gather(reading, calendar, one, names, question).items():
            for dims, counts in figures.counts.items():
                shifted = {offset + bucket: count for bucket, count in counts.items()}
                found.setdefault(period, Figures()).spread(dims, shifted)
    last_day = calendar.day_of(question.as_of_us)
    for day, figures in gather(reading, calendar, cube, names, _Daily(question.span, question.as_of_us)).items():
        period = question.span.start if question.grain == "none" else start_of(day, question.grain)
        of_period = found.setdefault(period, Figures())
        for dims, values in figures.totals.items():
            of_period.add(dims, values)
            still_there = _still_there(cube, values)
            if still_there:
                of_period.spread(dims, {censored(last_day - day): still_there})
    return found


def _still_there(cube: Cube, values: Iterable[int]) -> int:
    of = dict(zip(cube.measures, values, strict=False))
    return of["entered"] - of["left"] - of["ended"]
