"""Marketing paths of one person, from the whole list: what the touches are, which of them are on an order's path, and which paths
have not converted as of some moment.

An event is a dict: `time_us`, `channel` (those of VISITED make visits), `medium` and `campaign` (None without), `page` (whether it is a
page view), `order` (its id, or None).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

Event = dict[str, Any]
HALF_HOUR_US = 30 * 60 * 1_000_000
VISITED = {"web", "app", "store"}


class Touch(NamedTuple):
    at_us: int
    channel: str
    campaign: str | None


class Open(NamedTuple):
    """A path that had not converted when its last touch came, dated by that."""

    at_us: int
    channels: list[str]
    campaigns: list[str]


def touches(events: Sequence[Event]) -> list[Touch]:
    """By the rules: a visit's channel, or a campaign's; inside a visit not the one of the touch before again."""
    found: list[Touch] = []
    since_us: dict[str, int] = {}
    for i, event in enumerate(events):
        channel = event["channel"]
        earlier = [other["time_us"] for other in events[:i] if other["channel"] == channel]
        starts = channel in VISITED and (not earlier or event["time_us"] - earlier[-1] > HALF_HOUR_US)
        if starts:
            since_us[channel] = event["time_us"]
        if event["medium"] is None and not event["page"]:
            continue
        touch = Touch(event["time_us"], event["medium"] or "direct", event["campaign"])
        again = channel in VISITED and bool(found) and found[-1].at_us >= since_us[channel] and found[-1][1:] == touch[1:]
        if starts or (event["medium"] is not None and not again):
            found.append(touch)
    return found


def path_before(events: Sequence[Event], order: int, lookback_us: int) -> list[Touch]:
    """All touches in the lookback before the order at this place of the list, that of the order itself included."""
    until = events[order]["time_us"]
    return [touch for touch in touches(events[: order + 1]) if touch.at_us >= until - lookback_us]


def open_path(events: Sequence[Event], lookback_us: int) -> Open | None:
    """The path of these events that nothing has ended: the touches since the newest order."""
    placed = [i for i, event in enumerate(events) if event["order"] is not None]
    before = len(touches(events[: placed[-1] + 1])) if placed else 0
    tail = touches(events)[before:]
    if not tail:
        return None
    path = [touch for touch in tail if touch.at_us >= tail[-1].at_us - lookback_us][-50:]
    return Open(tail[-1].at_us, collapsed(touch.channel for touch in path), collapsed(touch.campaign or "" for touch in path))


def collapsed(labels: Iterable[str]) -> list[str]:
    return [label for label, _ in groupby(labels)]
