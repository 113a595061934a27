"""A person's journeys as they are shown, from the stored facts alone. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.facts import CaseFact, Day, Ended, Fact, OrderFact, Step, SurveyFact
from schemas.touchpoint import STAGES, Stage


class StageSpan(NamedTuple):
    """A journey's time in one stage. `reached_us` None: it only has touchpoints there, having started further on.

    `left_us` is when it went on to a later stage; a stage that it jumped over was reached and left at one moment.
    """

    stage: Stage
    reached_us: int | None
    left_us: int | None
    touchpoints: int


@dataclass
class Things:
    """Orders, cases and surveys, each in the order of their times."""

    orders: list[OrderFact] = field(default_factory=list)
    cases: list[CaseFact] = field(default_factory=list)
    surveys: list[SurveyFact] = field(default_factory=list)

    def add(self, thing: OrderFact | CaseFact | SurveyFact) -> None:
        match thing:
            case OrderFact():
                self.orders.append(thing)
            case CaseFact():
                self.cases.append(thing)
            case SurveyFact():
                self.surveys.append(thing)


@dataclass
class Journey:
    """One journey. `ended` says when it began, when the customer was last heard of, and when it is (or will be) over."""

    ended: Ended
    touchpoints: int
    stages: list[StageSpan]
    things: Things = field(default_factory=Things)

    def is_open(self, now_us: int) -> bool:
        return now_us <= self.ended.at_us


@dataclass
class Description:
    """A person's journeys in order; `outside`: what lies in no journey."""

    journeys: list[Journey]
    outside: Things


def describe(facts: Iterable[Fact]) -> Description:
    """The journeys that a person's facts state, all months together."""
    ends: list[Ended] = []
    steps: dict[str, list[Step]] = {}
    counts: dict[str, Counter[Stage]] = {}
    things: list[OrderFact | CaseFact | SurveyFact] = []
    for fact in facts:
        match fact:
            case Ended():
                ends.append(fact)
            case Step(unit="journey"):
                steps.setdefault(fact.cohort.id, []).append(fact)
                counts.setdefault(fact.cohort.id, Counter()).update(fact.adopted)
            case Day():
                _count(fact, counts)
            case OrderFact() | CaseFact() | SurveyFact():
                things.append(fact)
    ends.sort(key=lambda end: end.cohort.started_us)
    journeys = [_journey(end, steps[end.cohort.id], counts.get(end.cohort.id, Counter())) for end in ends]
    described = Description(journeys, Things())
    for thing in sorted(things, key=lambda thing: (thing.at_us, thing.key)):
        index = journey_at(ends, thing.at_us)
        (described.outside if index is None else journeys[index].things).add(thing)
    return described


def journey_at(ends: Sequence[Ended], at_us: int) -> int | None:
    """Which of a person's journeys, given in order, a moment belongs to: the one open then, else the next one within the timeout."""
    for index, end in enumerate(ends):
        if at_us > end.at_us:
            continue
        timeout_us = end.at_us - end.last_us
        return index if end.cohort.started_us - at_us <= timeout_us else None
    return None


def _count(day: Day, counts: dict[str, Counter[Stage]]) -> None:
    for item in day.items:
        if item.journey >= 0 and item.stage is not None:
            counts.setdefault(day.journeys[item.journey].id, Counter())[item.stage] += 1


def _journey(end: Ended, steps: list[Step], counts: Counter[Stage]) -> Journey:
    steps.sort(key=lambda step: STAGES.index(step.to_stage))
    reached: dict[Stage, int] = {}
    left: dict[Stage, int] = {}
    for step in steps:
        reached.update(dict.fromkeys([*step.skipped, step.to_stage], step.at_us))
        if step.from_stage is not None:
            left.update(dict.fromkeys([step.from_stage, *step.skipped], step.at_us))
    spans = [
        StageSpan(stage, reached.get(stage), left.get(stage), counts[stage])
        for stage in STAGES
        if stage in reached or counts[stage]
    ]
    return Journey(end, counts.total(), spans)
