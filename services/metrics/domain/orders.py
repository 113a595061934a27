"""What an order adds to which measures, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from schemas.calendar import Calendar
from schemas.facts import OrderFact
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims


class Worth(NamedTuple):
    """What an order counts for from a moment on: nothing before it was placed and once it is cancelled."""

    at_us: int
    currency: str | None
    orders: int
    gross_micros: int
    refunded_micros: int


def contributions(fact: OrderFact, calendar: Calendar) -> Iterator[Contribution]:
    """An order counts from its first moment to its cancellation, at its present worth, under the currency of that worth."""
    before = Worth(fact.at_us, None, 0, 0, 0)
    for worth in worths(fact):
        for of, sign in ((before, -1), (worth, 1)) if worth.currency != before.currency else ((worth, 0),):
            values = _difference(worth, before) if sign == 0 else tuple(sign * value for value in of[2:])
            dims = (of.currency, fact.stage, fact.channel, fact.source)
            for measure, value in zip(("orders", "gross_micros", "refunded_micros"), values, strict=True):
                if value:
                    yield Contribution("orders", measure, worth.at_us, None, dims, value)
        before = worth
    yield from _fate(fact, calendar.day_of(fact.at_us))


def worths(fact: OrderFact) -> Iterator[Worth]:
    """Its worth after each moment at which anything changed. A refund of an unknown amount gives back all that is left."""
    changes = sorted((amount.at_us, i, amount.currency, amount.micros or 0) for i, amount in enumerate(fact.amounts))
    at_first = [change for change in changes if change[0] <= fact.at_us]
    currency, gross, refunded = (at_first[-1][2], at_first[-1][3], 0) if at_first else (None, 0, 0)
    turns: list[tuple[int, int, str | None, int | None]] = [
        *((at_us, 0, of, micros) for at_us, _, of, micros in changes[len(at_first) :]),
        *((max(fact.at_us, refund.at_us), 1, None, refund.micros) for refund in fact.refunds),
    ]
    yield Worth(fact.at_us, currency, 1, gross, 0)
    for at_us, is_refund, of, micros in sorted(turns, key=lambda turn: turn[:2]):
        if fact.cancelled_us is not None and at_us >= fact.cancelled_us:
            break
        if is_refund:
            refunded += gross - refunded if micros is None else micros
        else:
            currency, gross = of, micros or 0
        yield Worth(at_us, currency, 1, gross, refunded)
    if fact.cancelled_us is not None:
        yield Worth(max(fact.at_us, fact.cancelled_us), currency, 0, 0, 0)


def _difference(new: Worth, old: Worth) -> tuple[int, ...]:
    return tuple(one - other for one, other in zip(new[2:], old[2:], strict=True))


def _fate(fact: OrderFact, placed: int) -> Iterator[Contribution]:
    """What became of it, dated by its placing."""
    dims: Dims = (fact.stage, fact.channel, fact.source, fact.marketing_channel)
    moments = (("placed", fact.at_us), ("cancelled", fact.cancelled_us), ("returned", fact.returned_us))
    for measure, at_us in moments:
        if at_us is not None:
            yield Contribution("order_fates", measure, max(fact.at_us, at_us), placed, dims, 1)
