"""Touchpoints, people, visits, journeys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tests.model.journeys import is_own, journeys
from tests.model.kpis.world import MINUTE_US, Rows, World, one
from tests.model.paths import VISITED


def volume(world: World) -> Mapping[str, Rows]:
    moments = [(root, touchpoint) for root, touchpoint in world.own() if world.holds(touchpoint["time_us"])]
    started = [journey for history in world.people.values() for journey in journeys(history)]
    return {
        "touchpoints": one(len(moments)),
        "people": one(len({root for root, touchpoint in moments if touchpoint["actor"] == "customer"})),
        "visits": one(sum(map(world.holds, visits(world)))),
        "journeys": one(sum(world.holds(journey.started_us) for journey in started)),
    }


def visits(world: World) -> list[int]:
    """When each began: after more than 30 minutes without the customer on that channel."""
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for root, history in world.people.items():
        for touchpoint in history:
            if is_own(touchpoint) and touchpoint["actor"] == "customer" and touchpoint["channel"] in VISITED:
                times[root, touchpoint["channel"]].append(touchpoint["time_us"])
    return [
        at_us
        for moments in times.values()
        for i, at_us in enumerate(moments)
        if i == 0 or at_us - moments[i - 1] > 30 * MINUTE_US
    ]
