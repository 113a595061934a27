"""Who buys again, who stays and who leaves, counted from whole lists of touchpoints.

`people` is each person's list of touchpoints, all of them the person's own. Days are numbers; a day begins at `day * DAY_US`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import pairwise

from tests.model import Touchpoint, order_of
from tests.model.journeys import journeys, runs

DAY_US = 86_400_000_000


@dataclass
class Bought:
    """An order: its first touchpoint, in which currency its worth is now (None: unknown), and what it is worth."""

    first: Touchpoint
    currency: str | None = None
    gross: int | None = None
    refunded: int = 0
    is_cancelled: bool = False

    @property
    def placed_us(self) -> int:
        at_us: int = self.first["time_us"]
        return at_us

    @property
    def day(self) -> int:
        return self.placed_us // DAY_US

    @property
    def net(self) -> int:
        return (self.gross or 0) - self.refunded


def all_orders(touchpoints: Iterable[Touchpoint]) -> list[Bought]:
    """A person's orders in the order in which they were placed."""
    found: dict[str, Bought] = {}
    for touchpoint in sorted(touchpoints, key=order_of):
        order = touchpoint["order"]
        if order is None:
            continue
        is_new, bought = order["order_id"] not in found, found.setdefault(order["order_id"], Bought(touchpoint))
        if order["action"] == "cancelled":
            bought.is_cancelled = True
        if order["action"] == "refunded":
            bought.refunded += touchpoint["refund"]
        if is_new or order["action"] in ("changed", "placed"):
            replaces = is_new or order["action"] == "changed"
            if order["currency"] is not None and (bought.currency is None or replaces):
                bought.currency = order["currency"]
            if touchpoint["amount"] is not None and (bought.gross is None or replaces):
                bought.gross = touchpoint["amount"]
    return list(found.values())


def standing(touchpoints: Iterable[Touchpoint]) -> list[Bought]:
    """Those that are not cancelled."""
    return [bought for bought in all_orders(touchpoints) if not bought.is_cancelled]


def known_by(people: Iterable[Sequence[Touchpoint]], as_of_us: int) -> list[list[Touchpoint]]:
    """What had happened by then."""
    return [[touchpoint for touchpoint in person if touchpoint["time_us"] <= as_of_us] for person in people]


def days_of(person: Iterable[Touchpoint], activity: str) -> set[int]:
    """The days on which a person ordered, or did anything."""
    if activity == "order":
        return {bought.day for bought in standing(person)}
    return {touchpoint["time_us"] // DAY_US for touchpoint in person if touchpoint["actor"] == "customer"}


def repeats(people: Iterable[Sequence[Touchpoint]], start: int, end: int, as_of_us: int) -> tuple[int, int, int]:
    """Who bought in [start, end), who did on two days of it, and who did twice."""
    orders = [[bought.day for bought in standing(person) if start <= bought.day < end] for person in known_by(people, as_of_us)]
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


@dataclass
class Purchases:
    """What led up to the orders of a period, each as (touchpoints, distinct channels); and of those who first bought in it how long they took
    in milliseconds, how many ordered so many months later, and (people, net worth) by currency."""

    led_up: list[tuple[int, int]] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    active: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    worth: dict[str, tuple[int, int]] = field(default_factory=dict)


def purchases(people: Iterable[Sequence[Touchpoint]], start: int, end: int, as_of_us: int, timeout_us: int) -> Purchases:
    """Of the days [start, end), as of an instant."""
    found = Purchases()
    for person in known_by(people, as_of_us):
        orders = standing(person)
        found.led_up += [led_up_to(order, person, timeout_us) for order in orders if start <= order.day < end]
        if orders and start <= orders[0].day < end:
            began_us = min(touchpoint["time_us"] for touchpoint in person)
            found.times_ms.append((orders[0].placed_us - began_us) // 1000)
            for month in {month_of(order.day) for order in orders}:
                found.active[month - month_of(orders[0].day)] += 1
        for currency in {order.currency for order in orders if order.currency is not None}:
            of_currency = [order for order in orders if order.currency == currency]
            if start <= of_currency[0].day < end:
                people_so_far, net = found.worth.get(currency, (0, 0))
                found.worth[currency] = people_so_far + 1, net + sum(order.net for order in of_currency)
    return found


def month_of(day: int) -> int:
    on = date.fromordinal(day + date(1970, 1, 1).toordinal())
    return on.year * 12 + on.month


def led_up_to(order: Bought, person: Sequence[Touchpoint], timeout_us: int) -> tuple[int, int]:
    """Touchpoints without an order, since the newest journey started and the order before was placed, and their channels."""
    history = sorted(person, key=order_of)
    starts = [run[0] for run in runs(history, timeout_us) if order_of(run[0]) <= order_of(order.first)]
    placed = [other.first for other in all_orders(person) if order_of(other.first) < order_of(order.first)]
    since = max((order_of(touchpoint) for touchpoint in (*starts, *placed)), default=None)
    before = [
        touchpoint
        for touchpoint in history
        if touchpoint["order"] is None
        and order_of(touchpoint) < order_of(order.first)
        and (since is None or order_of(touchpoint) >= since)
    ]
    return len(before), len({touchpoint["channel"] for touchpoint in before})


def goals(people: Iterable[Sequence[Touchpoint]], start: int, end: int, as_of_us: int, timeout_us: int) -> tuple[int, int]:
    """Goals stated in [start, end), each once in a journey, and how many of them have been reached in it."""
    stated = reached = 0
    for person in known_by(people, as_of_us):
        by_journey: dict[tuple[int, str], list[Touchpoint]] = defaultdict(list)
        starts = [order_of(run[0]) for run in runs(sorted(person, key=order_of), timeout_us)]
        for touchpoint in sorted(person, key=order_of):
            if touchpoint["goal"] is not None:
                journey = sum(started <= order_of(touchpoint) for started in starts)
                by_journey[journey, touchpoint["goal"]].append(touchpoint)
        for said in by_journey.values():
            if start <= said[0]["time_us"] // DAY_US < end:
                stated += 1
                reached += any(touchpoint["goal_reached"] for touchpoint in said)
    return stated, reached


def switches(
    people: Iterable[Sequence[Touchpoint]], start: int, end: int, as_of_us: int, timeout_us: int
) -> dict[tuple[str, str], int]:
    """How often customers went from one channel to another within a journey."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for person in known_by(people, as_of_us):
        for run in runs(sorted(person, key=order_of), timeout_us):
            for one, other in pairwise(run):
                if one["channel"] != other["channel"] and start <= other["time_us"] // DAY_US < end:
                    found[one["channel"], other["channel"]] += 1
    return dict(found)


@dataclass
class Stays:
    """Of the stays in a stage that began in a period: in days how long those lasted that a later stage ended, and how long the others have
    been seen to last; and in milliseconds the former."""

    left: list[int] = field(default_factory=list)
    censored: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)

    @property
    def median(self) -> int | None:
        """Kaplan and Meier's, product by product; None while the curve stays above one half."""
        curve = Fraction(1)
        for day in sorted({*self.left, *self.censored}):
            at_risk = sum(lasted >= day for lasted in (*self.left, *self.censored))
            curve *= 1 - Fraction(self.left.count(day), at_risk)
            if curve <= Fraction(1, 2):
                return day
        return None


def stays(people: Iterable[Sequence[Touchpoint]], start: int, end: int, as_of_us: int, timeout_us: int) -> dict[str, Stays]:
    """By stage."""
    found: dict[str, Stays] = defaultdict(Stays)
    for person in known_by(people, as_of_us):
        for journey in journeys(person, timeout_us):
            assert journey.over_us is not None
            for name, stage in journey.stages.items():
                if stage.reached_us is None or stage.skipped or not start <= stage.reached_us // DAY_US < end:
                    continue
                since = stage.reached_us // DAY_US
                if stage.left_us is None:
                    found[name].censored.append(min(as_of_us, journey.over_us) // DAY_US - since)
                elif stage.time_us is not None:
                    found[name].left.append(stage.left_us // DAY_US - since)
                    found[name].times_ms.append(stage.time_us // 1000)
    return found
