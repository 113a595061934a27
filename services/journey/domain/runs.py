"""What leads up to a purchase: the touchpoints since the one before it, and the goals that the person stated on the way."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from schemas.facts import Goal, OrderFact
from schemas.touchpoint import Stage
from services.journey.domain.derive import Derived


class Run(Struct, array_like=True):
    """`began_us` is the person's first touchpoint. `touchpoints` and their `channels` are those since the newest journey started or the
    newest order was placed, without any about an order. `channel` is that of the customer's newest touchpoint in the journey."""

    began_us: int | None = None
    touchpoints: int = 0
    channels: list[str] = []
    channel: str | None = None

    def begin(self) -> None:
        """A journey starts, or an order was placed: nothing leads to the next one yet."""
        self.touchpoints, self.channels = 0, []

    def order(self, order: OrderFact) -> OrderFact:
        """A new order, with what led up to it."""
        told = replace(order, began_us=self.began_us, touchpoints_before=self.touchpoints, channels_before=len(self.channels))
        self.begin()
        return told

    def take(self, touchpoint: Derived) -> None:
        """One more of the person's touchpoints."""
        if touchpoint.order is None:
            self.touchpoints += 1
            if touchpoint.channel not in self.channels:
                self.channels.append(touchpoint.channel)


def stated(goals: dict[str, Goal], touchpoint: Derived, stage: Stage) -> Goal | None:
    """What a touchpoint says of a goal, if that is new: it is stated for the first time in the journey, or has been reached."""
    if touchpoint.goal is None:
        return None
    known = goals.get(touchpoint.goal)
    if known is None:
        known = Goal(
            goal=touchpoint.goal,
            at_us=touchpoint.time_us,
            stage=stage,
            channel=touchpoint.channel,
            source=touchpoint.source,
            first_id=f"{touchpoint.source}/{touchpoint.id}",
        )
    elif known.reached_us is not None or not touchpoint.goal_reached:
        return None
    goals[touchpoint.goal] = known = replace(known, reached_us=touchpoint.time_us if touchpoint.goal_reached else None)
    return known
