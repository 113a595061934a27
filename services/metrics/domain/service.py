"""What a service contact adds to which measures: responses, waits, handling, resolutions, and what shows a week later."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.calendar import Calendar
from schemas.facts import CaseFact, Leg
from schemas.times import DAY_US
from services.metrics.domain import contacts, sequels
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims

WEEK_US = 7 * DAY_US
"""How long after a resolution or an opening a further contact counts as one about the same."""
SHORT_MS = 5_000
"""Who gives up sooner is counted, and given apart."""
THRESHOLDS_MS = {"within_20s": 20_000, "within_1m": 60_000, "within_5m": 300_000, "within_60m": 3_600_000}


def effect_times(fact: CaseFact) -> set[int]:
    """Every moment at which a case takes effect, and perhaps some more."""
    times = {fact.at_us, fact.at_us + WEEK_US, *fact.resolved_us, *fact.reopened_us, *fact.transferred_us, *fact.agents_us}
    times.update(fact.compensated_us, (reason.at_us for reason in fact.reasons))
    for leg in fact.legs:
        times.update(at for at in (leg.answered_us, leg.abandoned_us, leg.ended_us) if at is not None)
    times.update(at for at in (fact.responded_us, fact.bot_responded_us, fact.closed_us) if at is not None)
    if fact.resolved_us:
        times.add(fact.resolved_us[0] + WEEK_US)
    times.update(contacts.effect_times(fact))
    return times


def contributions(fact: CaseFact, calendar: Calendar) -> Iterator[Contribution]:
    """Everything that a case adds."""
    dims = (fact.stage, fact.channel, fact.topic, fact.product, fact.feature, fact.source)
    yield Contribution("cases", "opened", fact.at_us, None, dims, 1)
    for cube, at_us in (("first_response", fact.responded_us), ("bot_response", fact.bot_responded_us)):
        if at_us is not None:
            yield from _lasted(cube, "responded", at_us, dims, at_us - fact.at_us)
    if fact.responded_us is not None:
        open_us = calendar.open_us(fact.at_us, fact.responded_us)
        yield from _lasted("first_response_open", "responded", fact.responded_us, dims, open_us)
    yield from _outcome(fact, dims, calendar.day_of(fact.at_us))
    if fact.resolved_us:
        yield from _resolution(fact, dims, calendar)
    for reason in fact.reasons:
        yield Contribution("reasons", "cases", reason.at_us, None, (reason.reason, fact.topic, fact.product, fact.feature), 1)
    for leg in fact.legs:
        yield from _leg(leg, (leg.channel, fact.topic, leg.queue, leg.team, leg.agent_id))
    yield from contacts.contributions(fact, calendar, dims)
    yield from sequels.mix(fact)


def _outcome(fact: CaseFact, dims: Dims, opened: int) -> Iterator[Contribution]:
    """What became of a case, dated by its opening."""

    def add(cube: str, measure: str, at_us: int, value: int = 1) -> Contribution:
        return Contribution(cube, measure, at_us, opened, dims, value)

    yield add("outcomes", "opened", fact.at_us)
    for at_us in fact.resolved_us:
        yield add("outcomes", "resolved", at_us)
    for at_us in fact.reopened_us:
        yield add("outcomes", "resolved", at_us, -1)
    for at_us in fact.transferred_us:
        yield add("outcomes", "transfers", at_us)
    for at_us in fact.agents_us:
        yield add("outcomes", "agents", at_us)
    for reason in fact.reasons:
        if reason.reason == "repeated_information":
            yield add("outcomes", "told_again", reason.at_us)
    decided_us = fact.at_us + WEEK_US
    yield add("repeats", "open", fact.at_us)
    yield add("repeats", "open", decided_us, -1)
    yield add("repeats", "decided", decided_us)
    if fact.next_us is not None and fact.next_us <= decided_us:
        yield add("repeats", "repeated", decided_us)


def _resolution(fact: CaseFact, dims: Dims, calendar: Calendar) -> Iterator[Contribution]:
    """The first resolution, the one that stands, and – dated by the first – whether it lasted."""
    first_us = fact.resolved_us[0]
    resolved = calendar.day_of(first_us)
    yield from _lasted("first_resolution", "resolved", first_us, dims, first_us - fact.at_us)
    yield from _lasted("first_resolution_open", "resolved", first_us, dims, calendar.open_us(fact.at_us, first_us))
    for i, at_us in enumerate(fact.resolved_us):
        day = calendar.day_of(at_us)
        for cube, lasted_us in (("resolution", at_us - fact.at_us), ("resolution_open", calendar.open_us(fact.at_us, at_us))):
            yield from _lasted(cube, "resolved", at_us, dims, lasted_us, dated=day)
            if i < len(fact.reopened_us):
                yield from _lasted(cube, "resolved", fact.reopened_us[i], dims, lasted_us, -1, dated=day)

    def add(measure: str, at_us: int, value: int = 1) -> Contribution:
        return Contribution("lasting", measure, at_us, resolved, dims, value)

    yield add("resolved", first_us)
    if fact.reopened_us:
        yield add("reopened", fact.reopened_us[0])
    decided_us = first_us + WEEK_US
    yield add("open", first_us)
    yield add("open", decided_us, -1)
    yield add("decided", decided_us)
    if _is_first_contact(fact, first_us, decided_us):
        yield add("first_contact", decided_us)


def _is_first_contact(fact: CaseFact, first_us: int, decided_us: int) -> bool:
    was_transferred = any(at_us <= first_us for at_us in fact.transferred_us)
    was_reopened = any(at_us <= decided_us for at_us in fact.reopened_us)
    came_again = fact.next_on_topic_us is not None and fact.next_on_topic_us <= decided_us
    return not (was_transferred or was_reopened or came_again)


def _leg(leg: Leg, dims: Dims) -> Iterator[Contribution]:
    over_us = leg.answered_us if leg.answered_us is not None else leg.abandoned_us
    if over_us is not None:
        yield Contribution("legs", "answered" if leg.answered_us is not None else "abandoned", over_us, None, dims, 1)
    if leg.answered_us is not None and leg.wait_ms is not None:
        yield from _lasted("speed_of_answer", "answered", leg.answered_us, dims, leg.wait_ms * 1000)
        for measure, most_ms in THRESHOLDS_MS.items():
            if leg.wait_ms <= most_ms:
                yield Contribution("legs", measure, leg.answered_us, None, dims, 1)
    if leg.abandoned_us is not None and leg.wait_ms is not None and leg.wait_ms < SHORT_MS:
        yield Contribution("legs", "short", leg.abandoned_us, None, dims, 1)
    if leg.queued_us is not None:
        over_us = over_us if over_us is not None else leg.ended_us
        if over_us is not None:
            yield Contribution("queued_legs", "over", over_us, None, dims, 1)
        if leg.abandoned_us is not None:
            yield Contribution("queued_legs", "abandoned", leg.abandoned_us, None, dims, 1)
    if leg.ended_us is not None and leg.handle_ms is not None:
        yield from _lasted("handling", "ended", leg.ended_us, dims, leg.handle_ms * 1000)


def _lasted(
    cube: str, counted: str, at_us: int, dims: Dims, lasted_us: int, times: int = 1, dated: int | None = None
) -> Iterator[Contribution]:
    """One duration; `times` −1 takes it back."""
    yield Contribution(cube, counted, at_us, dated, dims, times)
    yield Contribution(cube, "time_ms", at_us, dated, dims, lasted_us // 1000, times)
