"""What a service contact adds to the measures of load, cost, complaints and age, and who was seen working on contacts."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.calendar import Calendar
from schemas.facts import CaseFact, Day
from schemas.times import DAY_US
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims

COMPLAINT = "complaint"
AGES = ((0, "0–1 days"), (1, "1–3 days"), (3, "3–7 days"), (7, "7–30 days"), (30, "over 30 days"))
"""From how many days on an open case is of which age."""


def effect_times(fact: CaseFact) -> Iterator[int]:
    """When a case that is still open comes to another age."""
    for start_us, _, end_us in _ages(fact):
        yield start_us
        if end_us is not None:
            yield end_us


def contributions(fact: CaseFact, calendar: Calendar, dims: Dims) -> Iterator[Contribution]:
    """`dims` are those of the cubes by case."""
    opened = calendar.day_of(fact.at_us)
    yield Contribution("load", "opened", fact.at_us, None, (hour_of_week(calendar.hour_of(fact.at_us)), fact.channel), 1)
    for start_us, age, end_us in _ages(fact):
        yield Contribution("open_cases", "open", start_us, opened, (age, *dims), 1)
        if end_us is not None:
            yield Contribution("open_cases", "open", end_us, opened, (age, *dims), -1)
    yield from _complaint(fact, calendar)
    handled = sorted((leg.ended_us, leg.handle_ms) for leg in fact.legs if leg.ended_us is not None and leg.handle_ms is not None)
    for i, (at_us, handle_ms) in enumerate(handled):
        if i == 0:
            yield Contribution("effort", "handled", at_us, opened, dims, 1)
        yield Contribution("effort", "handled_ms", at_us, opened, dims, handle_ms)


def working(fact: Day) -> Iterator[Contribution]:
    """The hours in which agents worked for this person."""
    for one in fact.agents:
        yield Contribution("agents_seen", "hours", one.at_us, None, (one.channel, one.agent_id), 1)


def hour_of_week(hour: int) -> str:
    """How an hour of the calendar is named by its day of the week, 1 (Monday) to 7, and the clock: 1-09."""
    return f"{(hour // 24 + 3) % 7 + 1}-{hour % 24:02d}"


def _complaint(fact: CaseFact, calendar: Calendar) -> Iterator[Contribution]:
    """One complaint, under the first reason that is given beside it: none until there is one."""
    complained_us = next((known.at_us for known in fact.reasons if known.reason == COMPLAINT), None)
    if complained_us is None:
        return
    about = next((known for known in fact.reasons if known.reason != COMPLAINT), None)
    date = calendar.day_of(complained_us)

    def add(at_us: int, reason: str | None, value: int) -> Contribution:
        dims = (reason, fact.topic, fact.product, fact.feature, fact.channel)
        return Contribution("complaints", "complaints", at_us, date, dims, value)

    if about is None or about.at_us > complained_us:
        yield add(complained_us, None, 1)
        if about is not None:
            yield from (add(about.at_us, None, -1), add(about.at_us, about.reason, 1))
    else:
        yield add(complained_us, about.reason, 1)


def _ages(fact: CaseFact) -> Iterator[tuple[int, str, int | None]]:
    """For as long as a case is open: from when on it is of which age, and until when (None: it still is)."""
    bounds = [fact.at_us + days * DAY_US for days, _ in AGES]
    for opened_us, over_us in _open(fact):
        for (_, age), from_us, to_us in zip(AGES, bounds, [*bounds[1:], None], strict=True):
            start_us = max(opened_us, from_us)
            end_us = over_us if to_us is None or (over_us is not None and over_us < to_us) else to_us
            if end_us is None or start_us < end_us:
                yield start_us, age, end_us


def _open(fact: CaseFact) -> Iterator[tuple[int, int | None]]:
    """When it was open: from the opening or a reopening to the resolution, or to where it was closed without one."""
    for i, opened_us in enumerate((fact.at_us, *fact.reopened_us)):
        over_us = fact.resolved_us[i] if i < len(fact.resolved_us) else None
        if fact.closed_us is not None and fact.closed_us >= opened_us:
            over_us = fact.closed_us if over_us is None else min(over_us, fact.closed_us)
        yield opened_us, over_us
