"""Who buys again, who stays and who leaves, counted from whole lists of touchpoints.

`people` is each person's list of touchpoints, all of them the person's own. Days are numbers; a day begins at `day * DAY_US`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.model import Touchpoint, order_of

DAY_US = 86_400_000_000


@dataclass
class Bought:
    """An order that stands: when it was placed, and in which currency its worth is now (None: unknown)."""

    placed_us: int
    currency: str | None = None
    is_cancelled: bool = False


def standing(touchpoints: Iterable[Touchpoint]) -> list[Bought]:
    """A person's orders that are not cancelled, in the order in which they were placed."""
    found: dict[str, Bought] = {}
    for touchpoint in sorted(touchpoints, key=order_of):
        order = touchpoint["order"]
        if order is None:
            continue
        bought = found.setdefault(order["order_id"], Bought(touchpoint["time_us"]))
        if order["action"] == "cancelled":
            bought.is_cancelled = True
        elif order.get("currency") and (bought.currency is None or order["action"] == "changed"):
            bought.currency = order["currency"]
    return [bought for bought in found.values() if not bought.is_cancelled]


def known_by(people: Iterable[Sequence[Touchpoint]], as_of_us: int) -> list[list[Touchpoint]]:
    """What had happened by then."""
    return [[touchpoint for touchpoint in person if touchpoint["time_us"] <= as_of_us] for person in people]


def days_of(person: Iterable[Touchpoint], activity: str) -> set[int]:
    """The days on which a person ordered, or did anything."""
    if activity == "order":
        return {bought.placed_us // DAY_US for bought in standing(person)}
    return {touchpoint["time_us"] // DAY_US for touchpoint in person if touchpoint["actor"] == "customer"}


def repeats(people: Iterable[Sequence[Touchpoint]], start: int, end: int, as_of_us: int) -> tuple[int, int, int]:
    """Who bought in [start, end), who did on two days of it, and who did twice."""
    orders = [
        [bought.placed_us // DAY_US for bought in standing(person) if start <= bought.placed_us // DAY_US < end]
        for person in known_by(people, as_of_us)
    ]
    buyers = [days for days in orders if days]
    return len(buyers), sum(len(set(days)) > 1 for days in buyers), sum(len(days) > 1 for days in buyers)


@dataclass
class Retention:
    """Of a period: people at its start and of these at its end (once it is over, else `open`), new ones, and those who came back."""

    started: int = 0
    retained: int = 0
    open: int = 0
    new: int = 0
    reactivated: int = 0


def retention(
    people: Iterable[Sequence[Touchpoint]], start: int, end: int, as_of_us: int, activity: str, window_days: int | None = None
) -> Retention:
    """Active is who did something in the window before a moment; it is as long as the period, unless given."""
    window = end - start if window_days is None else window_days
    found = Retention()
    for person in known_by(people, as_of_us):
        days = days_of(person, activity)
        at_start = any(start - window <= day < start for day in days)
        at_end = any(end - window <= day < end for day in days)
        if at_start and start * DAY_US <= as_of_us:
            if as_of_us < end * DAY_US:
                found.open += 1
            else:
                found.started += 1
                found.retained += at_end
        if at_end and not at_start:
            was_before = any(day < start for day in days)
            found.reactivated += was_before
            found.new += not was_before
    return found
