"""How many agents were seen working, hour by hour. Its cost grows with the agents and hours of a range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.calendar import Calendar
from services.metrics.domain.contacts import hour_of_week
from services.metrics.domain.cubes import Cube, Dims
from services.metrics.domain.periods import Asked, Grain, Span, start_of
from services.metrics.figures import gather
from services.metrics.store.reading import Reading


@dataclass(frozen=True)
class _Hourly:
    """The same question by the hour."""

    span: Span
    as_of_us: int
    grain: Grain = "hour"


def agent_hours(
    reading: Reading, calendar: Calendar, cube: Cube, question: Asked, by: tuple[str, ...], filters: Mapping[str, str]
) -> dict[tuple[int, Dims], int]:
    """Distinct agents of each hour, added up by period and by the values of `hour_of_week` and `channel` in `by`."""
    names = cube.sets[0]
    found: defaultdict[tuple[int, Dims], int] = defaultdict(int)
    for hour, figures in gather(reading, calendar, cube, names, _Hourly(question.span, question.as_of_us)).items():
        period = question.span.start if question.grain == "none" else start_of(hour // 24, question.grain)
        agents: defaultdict[Dims, set[str | None]] = defaultdict(set)
        for dims, values in figures.totals.items():
            known = {**dict(zip(names, dims, strict=True)), "hour_of_week": hour_of_week(hour)}
            if any(values) and all((known[name] or "") == value for name, value in filters.items()):
                agents[tuple(known[name] for name in by)].add(known["agent"])
        for among, seen in agents.items():
            found[period, among] += len(seen)
    return dict(found)
