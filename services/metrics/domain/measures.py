"""What a fact adds to which measures, and when: the one place that says what is counted.

Every contribution takes effect at its own exact time and depends only on what was known by then, so "as of" any moment is a sum
over the contributions effective by that moment. What a later part of a fact changes (an order's cancellation) is a contribution of
its own that takes back what the earlier one added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from schemas.calendar import NEVER, Calendar, date_of, day_number
from schemas.facts import (
    Bad,
    CaseFact,
    Cohort,
    ContactTurn,
    Day,
    Ended,
    Exposure,
    Fact,
    Goal,
    Helped,
    Introduced,
    OrderFact,
    PathFact,
    Reached,
    Recommended,
    Sequel,
    Slow,
    Step,
    SurveyFact,
    Touched,
    Transition,
    Unit,
    Visit,
    Voice,
)
from schemas.horizons import decided_us
from schemas.touchpoint import STAGES
from services.metrics.domain import attribution, contacts, growth, loyalty, moods, orders, purchases, sequels, service, stays
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims
from services.metrics.domain.surveys import ces_answer, change, csat_answer, nps_answer, scored

VERSION = 12
"""Raised with every change of what is contributed: rollups of another version have to be rebuilt."""


def contributions(fact: Fact, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    """Everything that one fact adds, of a person who is `identified` or known by an order or a case only. Pure."""
    return _OF_KIND[type(fact)](fact, identified, calendar)


def effect_times(fact: Fact) -> list[int]:
    """Every moment at which a fact takes effect, ascending: a superset of the times of its contributions, but for those that
    come with the first instant of a day."""
    times = {fact.at_us}
    if isinstance(fact, Day):
        times.update(item.at_us for item in fact.items)
        times.update(one.at_us for one in fact.agents)
    elif isinstance(fact, OrderFact):
        times.update(amount.at_us for amount in fact.amounts)
        times.update(refund.at_us for refund in fact.refunds)
        times.update(at for at in (fact.cancelled_us, fact.returned_us) if at is not None)
        times.update(place.at_us for place in fact.places)
    elif isinstance(fact, PathFact):
        times = attribution.effect_times(fact)
    elif isinstance(fact, Introduced | Exposure | Recommended):
        times = growth.effect_times(fact)
    elif isinstance(fact, CaseFact):
        times = service.effect_times(fact)
    elif isinstance(fact, Helped | Bad | Slow | Reached):
        times.add(decided_us(fact))
    elif isinstance(fact, Goal) and fact.reached_us is not None:
        times.add(fact.reached_us)
    elif isinstance(fact, SurveyFact) and fact.answered_us is not None:
        times.add(fact.answered_us)
    return sorted(times)


def _day(fact: Day, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    cohorts = [(_stage_cube("journey", of), calendar.day_of(of.started_us), _first(of)) for of in fact.journeys]
    person = fact.person and (calendar.day_of(fact.person.started_us), _first(fact.person))
    for item in fact.items:
        yield Contribution("touchpoints", "touchpoints", item.at_us, None, (item.stage, item.channel, item.type, item.source), 1)
        if item.journey >= 0 and item.stage is not None:
            cube, started, first = cohorts[item.journey]
            yield Contribution(cube, "touchpoints", item.at_us, started, (item.stage, *first), 1)
        if person and item.person_stage is not None:
            yield Contribution("stages.person", "touchpoints", item.at_us, person[0], (item.person_stage, *person[1]), 1)
    if fact.active:
        yield from _active(fact, identified, calendar)
    yield from contacts.working(fact)
    yield from purchases.of_day(fact)


def _active(fact: Day, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    """One active day. The person is new to every period that holds this day but not the active day before it."""
    at_us = min((item.at_us for item in fact.items if item.actor == "customer"), default=fact.at_us)
    dims = ("true" if identified else "false",)
    day = day_number(fact.day)
    previous = NEVER if fact.previous_active is None else day_number(fact.previous_active)
    yield Contribution("people_since", "active_days", at_us, previous, dims, 1)
    yield Contribution("people", "day", at_us, None, dims, 1)
    for period, start in _period_starts(day):
        if previous < start:
            yield Contribution("people", period, at_us, None, dims, 1)
    yield from moods.of_day(fact, at_us, calendar)
    yield from loyalty.active_day(at_us, day, previous, ("touchpoint", *dims), 1, calendar)


def _period_starts(day: int) -> Iterator[tuple[str, int]]:
    on = date_of(day)
    yield "week", day - on.weekday()
    yield "month", day - on.day + 1
    yield "quarter", day - (on - on.replace(month=(on.month - 1) // 3 * 3 + 1, day=1)).days
    yield "year", day - (on - on.replace(month=1, day=1)).days


def _step(fact: Step, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    cube, started, first = _stage_cube(fact.unit, fact.cohort), calendar.day_of(fact.cohort.started_us), _first(fact.cohort)
    yield from stays.of_step(fact, calendar)

    def add(measure: str, stage: str, value: int = 1) -> Contribution:
        return Contribution(cube, measure, fact.at_us, started, (stage, *first), value)

    yield from moods.of_step(fact, calendar)
    yield add("reached", fact.to_stage)
    for stage in fact.skipped:
        yield from (add("reached", stage), add("left", stage), add("skipped", stage))
    for stage, count in fact.adopted.items():
        yield add("touchpoints", stage, count)
    if fact.from_stage is None:
        yield add("started", fact.to_stage)
        for stage in STAGES[: STAGES.index(fact.to_stage)]:  # who enters further on has got beyond these
            yield from (add("reached", stage), add("left", stage))
        if fact.unit == "journey":
            dims = (fact.cohort.entry_stage, fact.cohort.channel)
            yield Contribution("journeys", "journeys", fact.at_us, None, dims, 1)
        return
    yield add("left", fact.from_stage)
    if fact.time_ms is not None:
        yield add("time_ms", fact.from_stage, fact.time_ms)


def _touched(fact: Touched, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    started = calendar.day_of(fact.cohort.started_us)
    dims = (fact.stage, *_first(fact.cohort))
    yield Contribution(_stage_cube(fact.unit, fact.cohort), "touched", fact.at_us, started, dims, 1)


def _transition(fact: Transition, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    started = calendar.day_of(fact.cohort.started_us)
    dims = (fact.from_stage, fact.to_stage, *_first(fact.cohort))
    yield Contribution(_transition_cube(fact.cohort), "transitions", fact.at_us, started, dims, 1)


def _ended(fact: Ended, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    started, first = calendar.day_of(fact.cohort.started_us), _first(fact.cohort)
    stages, transitions = _stage_cube("journey", fact.cohort), _transition_cube(fact.cohort)
    yield Contribution(stages, "dropped", fact.at_us, started, (fact.furthest_stage, *first), 1)
    yield Contribution(transitions, "transitions", fact.at_us, started, (fact.current_stage, None, *first), 1)
    yield from stays.of_end(fact, calendar)


def _visit(fact: Visit, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    yield Contribution("visits", "visits", fact.at_us, None, (fact.channel, fact.marketing_channel, fact.stage), 1)


def _order(fact: OrderFact, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    yield from orders.contributions(fact, calendar)
    yield from attribution.order_contributions(fact, calendar)
    yield from loyalty.order_days(fact, identified, calendar)
    yield from purchases.of_order(fact, calendar)


def _path(fact: PathFact, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    return attribution.path_contributions(fact, calendar)


def _goal(fact: Goal, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    return purchases.of_goal(fact, calendar)


def _case(fact: CaseFact, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    return service.contributions(fact, calendar)


def _contact_turn(fact: ContactTurn, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    return moods.of_turn(fact, calendar)


def _sequel(fact: Sequel, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    return sequels.contributions(fact, calendar)


def _survey(fact: SurveyFact, identified: bool, calendar: Calendar) -> Iterator[Contribution]:
    dims = (fact.stage, fact.channel, fact.topic, fact.source)
    for cube, measures in (("csat", csat_answer(fact)), ("nps", nps_answer(fact)), ("ces", ces_answer(fact))):
        for measure in measures:
            yield Contribution(cube, measure, fact.at_us, None, dims, 1)
    for cube, answer, on in (
        ("csat_scores", scored(fact, "csat"), ()),
        ("ces_scores", scored(fact, "ces"), (fact.easy or "unknown",)),
    ):
        if answer is not None:
            scale, score = answer
            for measure, value in (("answered", 1), ("score", score), ("squares", score * score)):
                yield Contribution(cube, measure, fact.at_us, None, (scale, *on, *dims), value)
    yield from _change(fact)
    if fact.action == "sent":
        sent = calendar.day_of(fact.at_us)
        yield Contribution("sendings", "sent", fact.at_us, sent, (fact.survey_kind, *dims), 1)
        if fact.answered_us is not None:
            yield Contribution("sendings", "answered", fact.answered_us, sent, (fact.survey_kind, *dims), 1)


def _change(fact: SurveyFact) -> Iterator[Contribution]:
    """By how much an answer differs from the one before a contact."""
    found = change(fact)
    if found is not None and fact.between is not None:
        kind, before, after = found
        more = after - before
        for measure, value in (("pairs", 1), ("before", before), ("after", after), ("change", more), ("squares", more * more)):
            yield Contribution(f"{kind}_change", measure, fact.at_us, None, (fact.between.channel, fact.between.topic), value)


def _first(cohort: Cohort) -> Dims:
    return cohort.channel, cohort.source, cohort.campaign, cohort.marketing_channel


def _stage_cube(unit: Unit, cohort: Cohort) -> str:
    if unit == "person":
        return "stages.person"
    return "stages.new" if cohort.entry_stage == "awareness" else "stages.returning"


def _transition_cube(cohort: Cohort) -> str:
    return "transitions.new" if cohort.entry_stage == "awareness" else "transitions.returning"


_OF_KIND: dict[type[Any], Callable[[Any, bool, Calendar], Iterator[Contribution]]] = {
    Day: _day,
    Step: _step,
    Touched: _touched,
    Transition: _transition,
    Ended: _ended,
    Visit: _visit,
    OrderFact: _order,
    Goal: _goal,
    PathFact: _path,
    Introduced: lambda fact, identified, calendar: growth.introduced(fact, calendar),
    Voice: lambda fact, identified, calendar: growth.voice(fact),
    Exposure: lambda fact, identified, calendar: growth.exposure(fact, calendar),
    Recommended: lambda fact, identified, calendar: growth.recommended(fact, calendar),
    CaseFact: _case,
    SurveyFact: _survey,
    ContactTurn: _contact_turn,
    Helped: _sequel,
    Bad: _sequel,
    Slow: _sequel,
    Reached: _sequel,
}

__all__ = ["VERSION", "Contribution", "contributions", "effect_times"]
