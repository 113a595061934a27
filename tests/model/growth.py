"""What tells of growth in one person's history, from the whole list of touchpoints.

A touchpoint is a dict: `time_us`, `type`, `actor`, `channel` ("web"), and where it has them `experiment` (its id and variant), `product`
(recommended), `bought` (products ordered) and `referred` (whether somebody else brought the person).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Seen = dict[str, Any]
MINUTE_US = 60_000_000
MONTH_US = 30 * 24 * 60 * MINUTE_US


class Trial(NamedTuple):
    """A person in an experiment: the first variant, since when, when another was seen, and how long the visit went on."""

    variant: str
    at_us: int
    second_us: int | None
    seen_us: int


class Shown(NamedTuple):
    """A product that was recommended, when it was clicked and when ordered."""

    at_us: int
    product: str
    clicked_us: int | None
    bought_us: int | None


def trials(history: Sequence[Seen]) -> dict[str, Trial]:
    """By experiment, of what the customer saw."""
    spoken = [one for one in history if one["actor"] == "customer"]
    found = {}
    for experiment in {one["experiment"][0] for one in spoken if one.get("experiment")}:
        seen = [one for one in spoken if one.get("experiment") and one["experiment"][0] == experiment]
        first = seen[0]
        others = [one["time_us"] for one in seen if one["experiment"][1] != first["experiment"][1]]
        last_us = first["time_us"]
        for one in spoken[spoken.index(first) :]:
            if one["channel"] == first["channel"] and one["time_us"] <= last_us + 30 * MINUTE_US:
                last_us = one["time_us"]
        found[experiment] = Trial(first["experiment"][1], first["time_us"], others[0] if others else None, last_us)
    return found


def shown(history: Sequence[Seen]) -> list[Shown]:
    """Every product from when it was first recommended, for 30 days; after that it may be recommended anew."""
    found: list[Shown] = []
    for product in sorted({one["product"] for one in history if one.get("product")}):
        until_us = -1
        for place, one in enumerate(history):
            if one.get("product") != product or one["time_us"] <= until_us:
                continue
            until_us = one["time_us"] + MONTH_US
            later = [other for other in history[place:] if other["time_us"] <= until_us]
            clicks = [other["time_us"] for other in later if is_click(other, product)]
            orders = [other["time_us"] for other in later if product in other.get("bought", ())]
            found.append(Shown(one["time_us"], product, clicks[0] if clicks else None, orders[0] if orders else None))
    return sorted(found)


def is_click(one: Seen, product: str) -> bool:
    return one.get("product") == product and one["actor"] == "customer" and one["type"].endswith("_clicked")


def referred_us(history: Sequence[Seen]) -> int | None:
    """When the customer first came by a referral, if that was before the first order."""
    orders = [place for place, one in enumerate(history) if "bought" in one]
    before = history[: orders[0]] if orders else history
    came = [one["time_us"] for one in before if one["actor"] == "customer" and one.get("referred")]
    return came[0] if came else None
