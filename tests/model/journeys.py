"""What one person's touchpoints amount to: the journeys of DESIGN.md section 7, and the stage table of section 9.

Everything is computed from the whole list. A report `as_of` a time is the report of the touchpoints up to that time, because
nothing in it depends on what came later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.model import Touchpoint, order_of

STAGES = ["awareness", "consideration", "purchase", "loyalty", "advocacy"]
DAY_US = 86_400_000_000
TIMEOUT_US = 90 * DAY_US


@dataclass
class StageOfJourney:
    """One stage of one journey; times are None for what did not happen. `time_us` is None also for a stage that was left untouched."""

    reached_us: int | None = None
    left_us: int | None = None
    touched_us: int | None = None
    time_us: int | None = None
    touchpoints: int = 0
    skipped: bool = False


@dataclass
class Journey:
    """`members` are (when it counts, touchpoint) in order: those of others that came before the start count as of the start.

    `over_us` is when it will be over if the customer stays silent, None for a person's whole history.
    """

    started_us: int
    last_us: int
    over_us: int | None
    members: list[tuple[int, Touchpoint]]
    entry_stage: str = ""
    current_stage: str = ""
    furthest_stage: str = ""
    stages: dict[str, StageOfJourney] = field(default_factory=lambda: {stage: StageOfJourney() for stage in STAGES})

    @property
    def first(self) -> Touchpoint:
        """The customer's first touchpoint."""
        return next(touchpoint for _, touchpoint in self.members if touchpoint["actor"] == "customer")


def journeys(touchpoints: Iterable[Touchpoint], timeout_us: int | None = TIMEOUT_US) -> list[Journey]:
    """A person's journeys in order. Without a timeout, the whole history as one (none if the customer never spoke).

    Touchpoints with `own` False are other people's, about the same orders: they only tell whose those are and what became of them
    (the latter only of those orders that they name in `amends`, if they have it).
    """
    everything = sorted(touchpoints, key=order_of)
    history = [touchpoint for touchpoint in everything if is_own(touchpoint)]
    found = [journey_of(run, history, timeout_us) for run in runs(history, timeout_us)]
    for journey in found:
        journey.entry_stage = "loyalty" if orders_standing_before(journey.first, everything) else "awareness"
        walk(journey, everything)
    return found


def is_own(touchpoint: Touchpoint) -> bool:
    return bool(touchpoint.get("own", True))


def runs(history: Sequence[Touchpoint], timeout_us: int | None) -> list[list[Touchpoint]]:
    """The customer's own touchpoints, parted where the silence is longer than the timeout."""
    parts: list[list[Touchpoint]] = []
    for touchpoint in history:
        if touchpoint["actor"] != "customer":
            continue
        if parts and (timeout_us is None or touchpoint["time_us"] - parts[-1][-1]["time_us"] <= timeout_us):
            parts[-1].append(touchpoint)
        else:
            parts.append([touchpoint])
    return parts


def journey_of(run: Sequence[Touchpoint], history: Sequence[Touchpoint], timeout_us: int | None) -> Journey:
    """A run of the customer's touchpoints with those of others that belong to it."""
    start, last_us = run[0], run[-1]["time_us"]
    members = [
        (max(touchpoint["time_us"], start["time_us"]), touchpoint)
        for touchpoint in history
        if (touchpoint["actor"] == "customer" and order_of(start) <= order_of(touchpoint) <= order_of(run[-1]))
        or (touchpoint["actor"] != "customer" and belongs(touchpoint, run, history, timeout_us))
    ]
    return Journey(
        started_us=start["time_us"],
        last_us=last_us,
        over_us=last_us + timeout_us if timeout_us is not None else None,
        members=members,
    )


def belongs(touchpoint: Touchpoint, run: Sequence[Touchpoint], history: Sequence[Touchpoint], timeout_us: int | None) -> bool:
    """Whether a touchpoint of others is in the journey of this run: the one open at its time, else the next within the timeout."""
    spoken = [other for other in history if other["actor"] == "customer"]
    before = [other for other in spoken if order_of(other) < order_of(touchpoint)]
    after = [other for other in spoken if order_of(other) > order_of(touchpoint)]
    if before and (timeout_us is None or touchpoint["time_us"] <= before[-1]["time_us"] + timeout_us):
        return before[-1] in run
    if after and (timeout_us is None or after[0]["time_us"] - touchpoint["time_us"] <= timeout_us):
        return after[0] in run
    return False


def orders_standing_before(moment: Touchpoint, everything: Iterable[Touchpoint]) -> set[tuple[str, str]]:
    """(system, order_id) of the person's orders whose first touchpoint comes before this one and that were not cancelled by then."""
    whose: dict[tuple[str, str], bool] = {}
    cancelled: set[tuple[str, str]] = set()
    for touchpoint in everything:
        if touchpoint.get("order") is not None and order_of(touchpoint) < order_of(moment):
            whose.setdefault(order_key(touchpoint), is_own(touchpoint))
            if touchpoint["order"]["action"] == "cancelled" and amends(touchpoint):
                cancelled.add(order_key(touchpoint))
    return {order for order, own in whose.items() if own} - cancelled


def amends(touchpoint: Touchpoint) -> bool:
    """Whether a touchpoint has an effect on its order."""
    return "amends" not in touchpoint or "order:" + "/".join(order_key(touchpoint)) in touchpoint["amends"]


def order_key(touchpoint: Touchpoint) -> tuple[str, str]:
    return touchpoint["system"], touchpoint["order"]["order_id"]


def own_stage(touchpoint: Touchpoint, everything: Iterable[Touchpoint]) -> str | None:
    """The stage of a touchpoint by itself: a placed order is purchase if no other order stands at that moment, else loyalty."""
    if not touchpoint.get("placed_order"):
        stage: str | None = touchpoint.get("stage")
        return stage
    others = orders_standing_before(touchpoint, everything) - {order_key(touchpoint)}
    return "loyalty" if others else "purchase"


def walk(journey: Journey, everything: Sequence[Touchpoint]) -> None:
    """Reach, touch, skip and leave stages in the order of the journey's touchpoints."""
    furthest = journey.entry_stage
    journey.stages[furthest].reached_us = journey.started_us
    journey.current_stage = journey.entry_stage
    for at_us, touchpoint in journey.members:
        own = own_stage(touchpoint, everything)
        if own is not None:
            journey.current_stage = own
            if STAGES.index(own) > STAGES.index(furthest):
                advance(journey, furthest, own, at_us)
                furthest = own
        counted = journey.stages[own or furthest]
        counted.touchpoints += 1
        if counted.touched_us is None:
            counted.touched_us = at_us
    journey.furthest_stage = furthest


def advance(journey: Journey, left: str, reached: str, at_us: int) -> None:
    """Leave a stage for a later one; those between were skipped."""
    behind = journey.stages[left]
    assert behind.reached_us is not None
    behind.left_us = at_us
    if behind.touchpoints:
        behind.time_us = at_us - behind.reached_us
    for stage in STAGES[STAGES.index(left) + 1 : STAGES.index(reached)]:
        jumped = journey.stages[stage]
        jumped.reached_us = jumped.left_us = at_us
        jumped.skipped = True
    journey.stages[reached].reached_us = at_us
