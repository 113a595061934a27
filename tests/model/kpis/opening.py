"""Durations of service contacts by opening hours in place of the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.model.kpis.cases import known
from tests.model.kpis.world import DAY_US, MINUTE_US, MS, Hours, Rows, World, one


def in_opening_hours(world: World) -> Mapping[str, Rows]:
    """From the opening to the response, the first resolution, the one that stands; each counts where it ended."""
    ends: dict[str, list[tuple[int, int | None]]] = {
        "first_response_time": [],
        "first_resolution_time": [],
        "resolution_time": [],
    }
    for case in known(world):
        first_us = case.resolved_us[0] if case.resolved_us else None
        for kpi_id, end_us in zip(ends, (case.responded_us(bot=False), first_us, case.stands_us), strict=True):
            ends[kpi_id].append((case.opened_us, end_us))
    return {f"{kpi_id}_open_hours": summed(world, spans) for kpi_id, spans in ends.items()}


def summed(world: World, spans: list[tuple[int, int | None]]) -> Rows:
    lasted = [
        open_us(world.hours, start_us, end_us) // MS for start_us, end_us in spans if end_us is not None and world.holds(end_us)
    ]
    return one(sum(lasted), len(lasted))


def open_us(hours: Hours | None, start_us: int, end_us: int) -> int:
    """How long it was open between two instants."""
    if hours is None:
        return end_us - start_us
    return sum(max(0, min(until, end_us) - max(since, start_us)) for since, until in opened(hours, start_us, end_us))


def opened(hours: Hours, start_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    """From and until when it was open, on every day from the first to the last. 1970 began on a Thursday."""
    for day in range(start_us // DAY_US, end_us // DAY_US + 1):
        for since, until in hours.get((day + 3) % 7, []):
            yield day * DAY_US + since * MINUTE_US, day * DAY_US + until * MINUTE_US
