"""The life table of stays in a stage: by days, who left, and who was lost sight of because the journey was over or it is not later yet."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.calendar import Calendar
from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.histogram import BUCKETS
from services.metrics.domain.periods import Asked, Grain, Span, start_of
from services.metrics.domain.stay_kpis import censored
from services.metrics.figures import Figures, gather
from services.metrics.store.reading import Reading

_WIDTH = len(BY_NAME["stays"].measures)
"""Entered (who left, whose journey is over, and who is still there), left, ended, and the time, which no life table needs."""


@dataclass(frozen=True)
class _Daily:
    """The same question, day by day."""

    span: Span
    as_of_us: int
    grain: Grain = "day"


def life_tables(reading: Reading, calendar: Calendar, names: tuple[str, ...], question: Asked) -> dict[int, Figures]:
    """Figures of the cube `stays` by period, with the histograms that `Survival` takes."""
    found: dict[int, Figures] = {}
    for cube, column, offset in (("stays_left", 1, 0), ("stays_ended", 2, BUCKETS)):
        for period, figures in gather(reading, calendar, BY_NAME[cube], names, question).items():
            of_period = found.setdefault(period, Figures())
            for dims, (number, *_) in figures.totals.items():
                of_period.add(dims, [number if at in (0, column) else 0 for at in range(_WIDTH)])
                of_period.spread(dims, {offset + bucket: count for bucket, count in figures.counts.get(dims, {}).items()})
    last_day = calendar.day_of(question.as_of_us)
    daily = gather(reading, calendar, BY_NAME["stays_now"], names, _Daily(question.span, question.as_of_us))
    for day, figures in daily.items():
        of_period = found.setdefault(
            question.span.start if question.grain == "none" else start_of(day, question.grain), Figures()
        )
        for dims, (still, *_) in figures.totals.items():
            if still:
                of_period.add(dims, [still, *[0] * (_WIDTH - 1)])
                of_period.spread(dims, {censored(last_day - day): still})
    return found
