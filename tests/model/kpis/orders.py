"""Orders and what they are worth: at each instant an order is worth something, and a period has the difference between its ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tests.model import Touchpoint
from tests.model.kpis.world import Number, Rows, World, one


class Worth(NamedTuple):
    currency: str | None
    orders: int
    gross: int
    refunded: int


NOTHING = Worth(None, 0, 0, 0)


def orders(world: World) -> Mapping[str, Rows]:
    placed = cancelled = returned = counted = 0
    gross, net, number = (defaultdict[str | None, int](int) for _ in range(3))
    last_us = min(world.end_us - 1, world.as_of_us)
    for _, events in world.about("order"):
        for sign, at_us in ((1, last_us), (-1, min(world.start_us - 1, world.as_of_us))):
            worth = worth_at(events, at_us)
            counted += sign * worth.orders
            number[worth.currency] += sign * worth.orders
            gross[worth.currency] += sign * worth.gross
            net[worth.currency] += sign * (worth.gross - worth.refunded)
        if world.holds(events[0]["time_us"]):
            actions = {event["order"]["action"] for event in events}
            placed, cancelled, returned = placed + 1, cancelled + ("cancelled" in actions), returned + ("returned" in actions)
    return {
        "orders": one(counted),
        "gross_revenue": {(currency,): Number(amount) for currency, amount in gross.items()},
        "net_revenue": {(currency,): Number(amount) for currency, amount in net.items()},
        "average_order_value": {(currency,): Number(gross[currency], number[currency]) for currency in number},
        "return_rate": one(returned, placed),
        "cancellation_rate": one(cancelled, placed),
    }


def worth_at(events: Sequence[Touchpoint], at_us: int) -> Worth:
    """What an order is worth at an instant: nothing before it was placed, and nothing once it is cancelled."""
    micros, currency, refunded = None, None, 0
    known = [event for event in events if event["time_us"] <= at_us]
    for i, event in enumerate(known):
        order = event["order"]
        amount, refund = in_micros(order.get("amount")), in_micros(order.get("refund_amount"))
        if order["action"] == "cancelled":
            return NOTHING
        if i == 0:
            micros, currency = amount, order.get("currency")
        elif order["action"] == "placed":
            micros, currency = amount if micros is None else micros, currency or order.get("currency")
        elif order["action"] == "changed":
            micros, currency = micros if amount is None else amount, order.get("currency") or currency
        if order["action"] in ("refunded", "returned"):
            back = refund if refund is not None else amount
            refunded += (micros or 0) - refunded if back is None else back
    return Worth(currency, 1, micros or 0, refunded) if known else NOTHING


def in_micros(text: str | None) -> int | None:
    return None if text is None else int(Decimal(text) * 1_000_000)
