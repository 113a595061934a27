"""Where each order stands among the person's orders that stand: what makes it the first, and the person one who came back.

A place holds from a moment on. The newest order's follows from what is kept of those before it; when one is cancelled, or its
currency becomes another, those after it get new places from that moment on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from schemas.facts import OrderFact, Place

DayOf = Callable[[int], int]


class Standing(Struct, array_like=True):
    """When the person's orders that stand were placed: the first of each currency, the newest two, and the newest one on a day before
    the newest's day."""

    first_us: int | None = None
    firsts_us: dict[str, int] = {}
    newest_us: int | None = None
    second_us: int | None = None
    day_before_us: int | None = None

    def place(self, order: OrderFact, at_us: int) -> Place:
        """Where the next order stands, from `at_us` on."""
        return Place(
            at_us,
            order.at_us if self.first_us is None else self.first_us,
            self.firsts_us.get(_currency(order)),
            self.newest_us,
            self.second_us,
            self.day_before_us,
        )

    def add(self, order: OrderFact, day_of: DayOf) -> None:
        """It has been placed."""
        if self.first_us is None:
            self.first_us = order.at_us
        self.firsts_us.setdefault(_currency(order), order.at_us)
        if self.newest_us is not None and day_of(self.newest_us) != day_of(order.at_us):
            self.day_before_us = self.newest_us
        self.second_us, self.newest_us = self.newest_us, order.at_us


def placed(order: OrderFact, standing: Standing, day_of: DayOf) -> OrderFact:
    """A new order at its place."""
    place = standing.place(order, order.at_us)
    standing.add(order, day_of)
    return replace(order, places=[place])


def differs(known: OrderFact, order: OrderFact) -> bool:
    """Whether the places of an order, or of those after it, may be others now that it was amended."""
    return (known.cancelled_us, _currency(known)) != (order.cancelled_us, _currency(order))


def anew(orders: Iterable[OrderFact | None], now_us: int, day_of: DayOf) -> tuple[Standing, list[OrderFact]]:
    """What stands now, and the orders (in the order in which they were placed) whose place is another from now on."""
    standing, moved = Standing(), []
    for order in orders:
        if order is None or order.cancelled_us is not None:
            continue
        place = standing.place(order, now_us)
        standing.add(order, day_of)
        last = order.places[-1]
        if replace(place, at_us=last.at_us) != last:
            moved.append(replace(order, places=[*order.places, place]))
    return standing, moved


def _currency(order: OrderFact) -> str:
    """The currency of its present worth, "" while that is unknown."""
    return order.amounts[-1].currency or ""
