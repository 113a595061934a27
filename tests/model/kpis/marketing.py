"""What brought people: visits by their marketing channel, and campaigns."""

from __future__ import annotations

from collections.abc import Mapping

from tests.model import Touchpoint
from tests.model.journeys import is_own
from tests.model.kpis.world import Rows, World, one
from tests.model.paths import Event, touches


def marketing(world: World) -> Mapping[str, Rows]:
    """Touches of the customers, each person's in order."""
    spoken = [[one for one in history if is_own(one) and one["actor"] == "customer"] for history in world.people.values()]
    found = [touch.at_us for history in spoken for touch in touches([event(one) for one in history])]
    return {"marketing_touches": one(sum(map(world.holds, found)))}


def event(touchpoint: Touchpoint) -> Event:
    """A campaign's medium is taken for its marketing channel, as it is where each medium has a channel of its own."""
    campaign = touchpoint["campaign"]
    return {
        "time_us": touchpoint["time_us"],
        "channel": touchpoint["channel"],
        "medium": campaign["medium"] if campaign is not None else None,
        "campaign": campaign.get("name") if campaign is not None else None,
        "page": touchpoint["page"] is not None,
    }
