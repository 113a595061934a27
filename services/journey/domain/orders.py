"""Orders: the first touchpoint of (system, order_id) is the order, later ones amend it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from schemas.facts import Amount, Cohort, OrderFact, Refund
from schemas.touchpoint import Stage
from services.journey.domain.derive import Derived


def stands(order: OrderFact) -> bool:
    """Whether it counts: it was placed, and has not been cancelled."""
    return order.cancelled_us is None


def previous_standing_us(orders: Iterable[OrderFact | None], but: str) -> int | None:
    """When the newest order that stands was placed, leaving out the one with the key `but`; None if there is none."""
    return max((order.at_us for order in orders if order is not None and stands(order) and order.key != but), default=None)


def placed(
    touchpoint: Derived,
    stage: Stage,
    previous_us: int | None,
    marketing_channel: str | None,
    campaign: str | None,
    cohort: Cohort | None,
) -> OrderFact:
    """The order that its first touchpoint states, amended by that touchpoint where its action says more than placed."""
    assert touchpoint.order is not None
    order = OrderFact(
        system=touchpoint.system,
        order_id=touchpoint.order.order_id,
        at_us=touchpoint.time_us,
        stage=stage,
        channel=touchpoint.channel,
        source=touchpoint.source,
        amounts=[Amount(touchpoint.time_us, touchpoint.amount_micros, touchpoint.order.currency)],
        previous_us=previous_us,
        marketing_channel=marketing_channel,
        campaign=campaign,
        cohort=cohort,
    )
    return order if touchpoint.order.action in (None, "placed") else amended(order, touchpoint)


def amended(order: OrderFact, touchpoint: Derived) -> OrderFact:
    """The order after one more touchpoint. A repeated `placed` only fills in what was unknown; a first cancellation or return counts."""
    assert touchpoint.order is not None
    at_us, action = touchpoint.time_us, touchpoint.order.action
    if action == "cancelled":
        return order if order.cancelled_us is not None else replace(order, cancelled_us=at_us)
    if action in ("refunded", "returned"):
        given_back = touchpoint.refund_micros if touchpoint.refund_micros is not None else touchpoint.amount_micros
        refunds = [*order.refunds, Refund(at_us, given_back)]
        returned_us = at_us if action == "returned" and order.returned_us is None else order.returned_us
        return replace(order, refunds=refunds, returned_us=returned_us)
    last = order.amounts[-1]
    micros, currency = touchpoint.amount_micros, touchpoint.order.currency
    if action == "changed":
        worth = Amount(at_us, last.micros if micros is None else micros, currency or last.currency)
    else:
        worth = Amount(at_us, micros if last.micros is None else last.micros, last.currency or currency)
    return (
        order
        if (worth.micros, worth.currency) == (last.micros, last.currency)
        else replace(order, amounts=[*order.amounts, worth])
    )
