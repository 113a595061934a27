"""What referrals, reviews, moods, experiments and recommendations add to which measures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from schemas.calendar import Calendar
from schemas.facts import Exposure, Introduced, Recommended, Voice
from schemas.horizons import RECOMMENDED_US
from schemas.times import MINUTE_US
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims

VISIT_GAP_US = 30 * MINUTE_US
"""A visit is over when the customer has been silent for this long."""


def introduced(fact: Introduced, calendar: Calendar) -> Iterator[Contribution]:
    """A journey counts among the others until it is known to be referred; both dated by its start."""
    day = calendar.day_of(fact.at_us)

    def add(measure: str, at_us: int, referred: bool, value: int = 1) -> Contribution:
        return Contribution("introduced", measure, at_us, day, (_text(referred), fact.channel, fact.source), value)

    yield add("journeys", fact.at_us, False)
    if fact.referred_us is not None:
        yield add("journeys", fact.referred_us, False, -1)
        yield add("journeys", fact.referred_us, True)
    if fact.bought_us is not None:
        yield add("bought", fact.bought_us, fact.referred_us is not None)


def voice(fact: Voice) -> Iterator[Contribution]:
    """A rating on its scale, a mood in thousandths, a referral or a share."""
    dims = (fact.stage, fact.channel, fact.topic, fact.source)
    if fact.rating is not None and fact.rating_max is not None:
        rating, scale = round(fact.rating * 1000), f"0–{fact.rating_max:g}"
        for measure, value in (("reviews", 1), ("rating", rating), ("squares", rating * rating)):
            yield Contribution("reviews", measure, fact.at_us, None, (scale, fact.product, fact.channel, fact.source), value)
    if fact.sentiment is not None:
        mood = round(fact.sentiment * 1000)
        for measure, value in (("given", 1), ("mood", mood), ("squares", mood * mood), ("negative", int(mood < 0))):
            if value:
                yield Contribution("moods", measure, fact.at_us, None, dims, value)
    if fact.told is not None:
        yield Contribution("told", fact.told + "s", fact.at_us, None, (fact.channel, fact.source), 1)


def exposure(fact: Exposure, calendar: Calendar) -> Iterator[Contribution]:
    """A person in an experiment, dated by the first variant seen; once another one was seen, only as excluded."""
    day, dims = calendar.day_of(fact.at_us), (fact.experiment_id, fact.variant, fact.channel, fact.source)
    worth: dict[str | None, int] = {}
    is_converted, orders = False, 0

    def add(cube: str, measure: str, at_us: int, value: int, times: int = 1, more: Dims = ()) -> Contribution:
        return Contribution(cube, measure, at_us, day, (*more, *dims), value, times)

    yield add("experiments", "exposed", fact.at_us, 1)
    for at_us, turns in groupby(fact.turns, key=lambda turn: turn.at_us):
        for turn in turns:
            orders += turn.orders
            if turn.micros:
                worth[turn.currency] = worth.get(turn.currency, 0) + turn.micros
                yield add("experiment_worth", "gross_micros", at_us, turn.micros, more=(turn.currency,))
        if (orders > 0) != is_converted:
            is_converted = orders > 0
            yield add("experiments", "converted", at_us, 1 if is_converted else -1)
    over_us, time_ms = fact.seen_us + VISIT_GAP_US, (fact.seen_us - fact.at_us) // 1000
    is_timed = fact.second_us is None or over_us < fact.second_us
    if is_timed:
        yield add("experiment_times", "visits", over_us, 1)
        yield add("experiment_times", "time_ms", over_us, time_ms)
    if fact.second_us is None:
        return
    yield add("experiments", "exposed", fact.second_us, -1)
    yield add("experiments", "excluded", fact.second_us, 1)
    if is_converted:
        yield add("experiments", "converted", fact.second_us, -1)
    for currency, micros in worth.items():
        if micros:
            yield add("experiment_worth", "gross_micros", fact.second_us, -micros, more=(currency,))
    if is_timed:
        yield add("experiment_times", "visits", fact.second_us, -1)
        yield add("experiment_times", "time_ms", fact.second_us, time_ms, -1)


def recommended(fact: Recommended, calendar: Calendar) -> Iterator[Contribution]:
    """What was shown, dated by that; whether it was ordered is decided 30 days later."""
    day, dims = calendar.day_of(fact.at_us), (fact.recommendation_id, fact.product, fact.channel, fact.source)
    decided_us = fact.at_us + RECOMMENDED_US
    changes = [("shown", fact.at_us, 1), ("open", fact.at_us, 1), ("open", decided_us, -1), ("decided", decided_us, 1)]
    if fact.clicked_us is not None:
        changes.append(("clicked", fact.clicked_us, 1))
    if fact.bought_us is not None:
        changes.append(("bought", decided_us, 1))
    for measure, at_us, value in changes:
        yield Contribution("recommended", measure, at_us, day, dims, value)


def effect_times(fact: Introduced | Exposure | Recommended) -> set[int]:
    found: tuple[int | None, ...]
    match fact:
        case Introduced():
            found = (fact.at_us, fact.referred_us, fact.bought_us)
        case Exposure():
            found = (fact.at_us, fact.second_us, fact.seen_us + VISIT_GAP_US, *(turn.at_us for turn in fact.turns))
        case Recommended():
            found = (fact.at_us, fact.clicked_us, fact.at_us + RECOMMENDED_US)
    return {at_us for at_us in found if at_us is not None}


def _text(value: bool) -> str:
    return "true" if value else "false"
