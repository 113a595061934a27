"""How people go on whose last contact was good, or bad, or who had none: whether their journeys convert, and whether they stay."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.calendar import Calendar, day_number, first_day_of_month, month_of_day
from schemas.facts import Contact, ContactTurn, Day, Step
from schemas.touchpoint import STAGES
from services.metrics.domain.contribution import Contribution

_PURCHASE = STAGES.index("purchase")


def of_step(fact: Step, calendar: Calendar) -> Iterator[Contribution]:
    """A new journey begins, or gets to purchase, after a contact that was so."""
    if fact.unit != "journey" or fact.cohort.entry_stage != "awareness":
        return
    started, dims = calendar.day_of(fact.cohort.started_us), (_named(fact.contact), fact.cohort.channel)
    if fact.from_stage is None:
        yield Contribution("contact_conversion", "journeys", fact.at_us, started, dims, 1)
    elif STAGES.index(fact.from_stage) < _PURCHASE <= STAGES.index(fact.to_stage):
        yield Contribution("contact_conversion", "converted", fact.at_us, started, dims, 1)


def of_turn(fact: ContactTurn, calendar: Calendar) -> Iterator[Contribution]:
    """Its journey goes over to those whose last contact is this one."""
    started = calendar.day_of(fact.cohort.started_us)
    for contact, sign in ((fact.before, -1), (fact.contact, 1)):
        dims = (_named(contact), fact.cohort.channel)
        yield Contribution("contact_conversion", "journeys", fact.at_us, started, dims, sign)


def of_day(fact: Day, at_us: int, calendar: Calendar) -> Iterator[Contribution]:
    """The first active day of a month: whether the person is active in the next one too is open until that is over.

    All that takes effect later does so as a day begins.
    """
    month = month_of_day(day_number(fact.day))
    before = None if fact.previous_active is None else month_of_day(day_number(fact.previous_active))
    if before == month:
        return
    over_us = calendar.month_start_us(month + 2)

    def add(measure: str, at_us: int, of: int, contact: Contact | None, sign: int = 1) -> Contribution:
        return Contribution("contact_retention", measure, at_us, first_day_of_month(of), (_named(contact),), sign)

    yield add("open", at_us, month, fact.contact)
    yield add("open", over_us, month, fact.contact, -1)
    yield add("active", over_us, month, fact.contact)
    if before == month - 1:
        yield add("retained", calendar.month_start_us(month + 1), before, fact.contact_before)


def _named(contact: Contact | None) -> str:
    return contact or "none"
