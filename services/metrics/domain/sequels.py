"""What sequels add: whether something followed is known, and counted, when its time is over; until then it is open."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.calendar import Calendar
from schemas.facts import Bad, CaseFact, Helped, Reached, Sequel, Slow
from schemas.horizons import decided_us
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims


def contributions(fact: Sequel, calendar: Calendar) -> Iterator[Contribution]:
    """Everything that a sequel adds, dated where it began."""
    was_followed = fact.followed_us is not None
    match fact:
        case Helped():
            dims: Dims = (fact.article_id, fact.channel, fact.source)
            yield from _decided("deflection", fact, calendar, dims, () if was_followed else ("deflected",))
        case Bad():
            dims = (fact.experience, fact.stage, fact.channel, fact.topic)
            yield from _decided("recovery", fact, calendar, dims, ("recovered",) if was_followed else ())
        case Slow():
            dims = (fact.stage, fact.channel, fact.topic, fact.source)
            yield from _decided("slow_answers", fact, calendar, dims, () if was_followed else ("abandoned",))
        case Reached():
            yield from _reached(fact, calendar)


def mix(fact: CaseFact) -> Iterator[Contribution]:
    """A case that the customer opened is a reactive contact."""
    if fact.opened_by == "customer":
        yield Contribution("mix", "reactive", fact.at_us, None, (fact.channel,), 1)


def _reached(fact: Reached, calendar: Calendar) -> Iterator[Contribution]:
    """Who was reached, against the controls, and against the same people before."""
    asked, had_asked = fact.followed_us is not None, fact.before_us is not None
    found: tuple[str, ...] = ("control",) if fact.control else ("reached",)
    if asked:
        found = (*found, "control_asked" if fact.control else "asked")
    if not fact.control and asked != had_asked:
        found = (*found, "only_after" if asked else "only_before")
    dims = (fact.outreach_id, fact.reason, fact.channel)
    yield from _decided("outreach", fact, calendar, dims, found)
    if not fact.control:
        yield Contribution("mix", "proactive", fact.at_us, None, (fact.channel,), 1)


def _decided(cube: str, fact: Sequel, calendar: Calendar, dims: Dims, found: tuple[str, ...]) -> Iterator[Contribution]:
    at_us, date = decided_us(fact), calendar.day_of(fact.at_us)
    yield Contribution(cube, "open", fact.at_us, date, dims, 1)
    yield Contribution(cube, "open", at_us, date, dims, -1)
    for measure in ("decided", *found):
        yield Contribution(cube, measure, at_us, date, dims, 1)
