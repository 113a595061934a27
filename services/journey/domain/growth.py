"""What tells how a business grows: who was referred, what customers say and share, experiments they were in, and what was recommended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from schemas.facts import Exposure, Fact, Introduced, OrderFact, Recommended, Turn, Voice
from schemas.horizons import RECOMMENDED_US
from schemas.times import MINUTE_US
from schemas.touchpoint import Stage
from services.journey.domain.derive import Derived
from services.journey.domain.orders import stands
from services.journey.domain.stages import INDEX, Progress

VISIT_GAP_US = 30 * MINUTE_US
_PURCHASE = INDEX["purchase"]
_SENT = frozenset({"referral_sent", "referral_made", "invite_sent"})
_CAME = frozenset({"referral_visited", "referral_clicked", "referral_accepted", "referral_redeemed"})


class Growth(Struct, array_like=True):
    """What a person's later touchpoints may still change: the newest journey that is not of a buyer, experiments by id, and what was
    recommended lately by key."""

    introduced: Introduced | None = None
    exposures: dict[str, Exposure] = {}
    shown: dict[str, Recommended] = {}

    def carried(self) -> list[Fact]:
        first: list[Fact] = [] if self.introduced is None else [self.introduced]
        return [*first, *self.exposures.values(), *self.shown.values()]


def went_on(growth: Growth, touchpoint: Derived, journey: Progress | None, topic: str | None, stage: Stage) -> Iterator[Fact]:
    """The person's next touchpoint, counted in its `journey` (None: there is none yet): what it states and changes."""
    if touchpoint.actor == "customer":
        yield from _said(touchpoint, topic, stage)
        yield from _exposed(growth, touchpoint, stage)
    if journey is not None:
        yield from _introduced(growth, touchpoint, journey)
    yield from _recommended(growth, touchpoint)


def ordered(growth: Growth, known: OrderFact | None, order: OrderFact, at_us: int) -> Iterator[Exposure]:
    """An order of the person came, or changed: it counts in every experiment of which a variant was seen before it was placed."""
    before, after = _worth(known), _worth(order)
    if before == after:
        return
    turns = [Turn(at_us, of[0], sign * of[1], sign * of[2]) for of, sign in ((before, -1), (after, 1)) if of is not None]
    for key, exposure in growth.exposures.items():
        if exposure.second_us is None and exposure.at_us < order.at_us:
            growth.exposures[key] = exposure = replace(exposure, turns=[*exposure.turns, *turns])
            yield exposure


def is_referred(touchpoint: Derived) -> bool:
    """Whether a touchpoint says that somebody else brought the person."""
    return touchpoint.type in _CAME or (touchpoint.referral is not None and not _refers(touchpoint))


def _refers(touchpoint: Derived) -> bool:
    return touchpoint.type in _SENT or (touchpoint.referral is not None and touchpoint.stage == "advocacy")


def _said(touchpoint: Derived, topic: str | None, stage: Stage) -> Iterator[Voice]:
    """What the customer says of the business to it or to others: a review, a mood, a referral, a share."""
    review, told = touchpoint.review, _told(touchpoint)
    if review is None and touchpoint.sentiment is None and told is None:
        return
    yield Voice(
        at_us=touchpoint.time_us,
        stage=stage,
        channel=touchpoint.channel,
        source=touchpoint.source,
        topic=topic,
        told=told,
        product=review.product_id if review is not None else None,
        rating=review.rating if review is not None else None,
        rating_max=review.rating_max if review is not None else None,
        sentiment=touchpoint.sentiment,
        first_id=f"{touchpoint.source}/{touchpoint.id}",
    )


def _told(touchpoint: Derived) -> Literal["referral", "share"] | None:
    if _refers(touchpoint):
        return "referral"
    return "share" if touchpoint.type == "share" or touchpoint.type.endswith("_shared") else None


def _introduced(growth: Growth, touchpoint: Derived, journey: Progress) -> Iterator[Introduced]:
    """Whether a journey was referred before it came to the purchase, and whether it came to it."""
    cohort = journey.cohort
    if cohort.entry_stage != "awareness":
        growth.introduced = None
        return
    known = growth.introduced
    if known is None or known.journey_id != cohort.id:
        known = Introduced(journey_id=cohort.id, at_us=cohort.started_us, channel=cohort.channel, source=cohort.source)
    one, at_us = known, touchpoint.time_us
    if one.bought_us is None and one.referred_us is None and touchpoint.actor == "customer" and is_referred(touchpoint):
        one = replace(one, referred_us=at_us)
    if one.bought_us is None and journey.furthest >= _PURCHASE:
        one = replace(one, bought_us=at_us)
    if one is not growth.introduced:
        growth.introduced = one
        yield one


def _exposed(growth: Growth, touchpoint: Derived, stage: Stage) -> Iterator[Exposure]:
    """The first variant of an experiment that the customer sees counts; another one excludes the person. The visit goes on with
    what the customer does in it."""
    at_us, channel = touchpoint.time_us, touchpoint.channel
    for key, known in growth.exposures.items():
        if known.channel == channel and known.seen_us < at_us <= known.seen_us + VISIT_GAP_US:
            growth.exposures[key] = known = replace(known, seen_us=at_us)
            yield known
    seen = touchpoint.experiment
    if seen is None:
        return
    first = growth.exposures.get(seen.experiment_id)
    if first is None:
        one = Exposure(
            experiment_id=seen.experiment_id,
            variant=seen.variant,
            at_us=at_us,
            seen_us=at_us,
            stage=stage,
            channel=channel,
            source=touchpoint.source,
        )
    elif first.variant != seen.variant and first.second_us is None:
        one = replace(first, second_us=at_us)
    else:
        return
    growth.exposures[seen.experiment_id] = one
    yield one


def _recommended(growth: Growth, touchpoint: Derived) -> Iterator[Recommended]:
    """What was recommended, when it was first shown, clicked and ordered, within the time that it has."""
    at_us, recommendation = touchpoint.time_us, touchpoint.recommendation
    if growth.shown:
        growth.shown = {key: one for key, one in growth.shown.items() if at_us <= one.at_us + RECOMMENDED_US}
    if recommendation is not None:
        id, product = recommendation.recommendation_id, recommendation.product_id
        new = Recommended(
            recommendation_id=id, product=product, at_us=at_us, channel=touchpoint.channel, source=touchpoint.source
        )
        known = one = growth.shown.get(new.thing, new)
        if one.clicked_us is None and touchpoint.actor == "customer" and touchpoint.type.endswith("_clicked"):
            one = replace(one, clicked_us=at_us)
        if one is not known or new.thing not in growth.shown:
            growth.shown[new.thing] = one
            yield one
    order = touchpoint.order
    if order is None or order.action not in (None, "placed") or not order.items:
        return
    products = {item.product_id for item in order.items}
    for key, shown in growth.shown.items():
        if shown.bought_us is None and shown.product in products:
            growth.shown[key] = shown = replace(shown, bought_us=at_us)
            yield shown


def _worth(order: OrderFact | None) -> tuple[str | None, int, int] | None:
    """Currency, orders (1) and micro-units of an order that stands."""
    if order is None or not stands(order):
        return None
    worth = order.amounts[-1]
    return worth.currency, 1, worth.micros or 0
