"""What Waypost has to answer about a generated year, counted from the stories alone.

A plain second account of what a journey is: one pass over each person's ordered touchpoints, no increments, no stores,
and nothing imported from the rooms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from services.cli.simulate.script import STAGES, Stage
from services.cli.simulate.story import DAY_US, Happening
from services.cli.simulate.year import Year

TIMEOUT_US = 90 * DAY_US


@dataclass
class Journey:
    """One journey of one person. `skipped` were jumped over; `times_us` is how long each stage lasted that was touched and left."""

    entry: Stage
    started_us: int
    last_us: int
    furthest: Stage
    touched: Counter[Stage] = field(default_factory=Counter)
    skipped: list[Stage] = field(default_factory=list)
    times_us: dict[Stage, int] = field(default_factory=dict)
    reached_us: int = 0
    touchpoints: int = 0

    def has_reached(self, stage: Stage) -> bool:
        """Whoever enters further on has got beyond the stages before."""
        return STAGES.index(stage) <= STAGES.index(self.furthest)

    def take(self, at_us: int, stage: Stage | None) -> None:
        """Count a touchpoint in its stage, or where the journey is; a stage beyond the furthest is reached."""
        counted = stage or self.furthest
        here, there = STAGES.index(self.furthest), STAGES.index(counted)
        if there > here:
            if self.touched[self.furthest]:
                self.times_us[self.furthest] = at_us - self.reached_us
            self.skipped += STAGES[here + 1 : there]
            self.furthest, self.reached_us = counted, at_us
        self.touched[counted] += 1
        self.touchpoints += 1


@dataclass
class Person:
    """A person's whole year. `orders` are those that still stand, `touchpoints` counts also what belongs to no journey."""

    root: str
    touchpoints: int = 0
    journeys: list[Journey] = field(default_factory=list)
    orders: dict[str, int] = field(default_factory=dict)


@dataclass
class StageRow:
    """One row of the stage table; see DESIGN.md, section 9."""

    stage: Stage
    touchpoints: int = 0
    touched: int = 0
    reached: int = 0
    dropped: int = 0
    in_stage_now: int = 0
    skipped: int = 0
    times_us: list[int] = field(default_factory=list)


@dataclass
class Truth:
    """All figures. Money in cents; survey counts as (how many promoters or satisfied, how many detractors, how many answers)."""

    touchpoints: int
    persons: dict[str, Person]
    by_type: Counter[str]
    by_channel: Counter[str]
    by_source: Counter[str]
    orders: int
    revenue_cents: int
    cases: int
    csat: tuple[int, int]
    nps: tuple[int, int, int]

    @property
    def journeys(self) -> list[Journey]:
        return [journey for person in self.persons.values() for journey in person.journeys]

    def stages(self, as_of_us: int, entries: Iterable[Stage]) -> list[StageRow]:
        """The table of all journeys that started in one of these stages."""
        rows = {stage: StageRow(stage) for stage in STAGES}
        wanted = frozenset(entries)
        for journey in self.journeys:
            if journey.entry in wanted:
                _count(journey, rows, as_of_us)
        return list(rows.values())


def tell_the_truth(year: Year) -> Truth:
    """Every figure of the year."""
    persons = {root: _person(root, list(found)) for root, found in groupby(year.happenings, attrgetter("root"))}
    standing = [cents for person in persons.values() for cents in person.orders.values()]
    bodies = [happening.body for happening in year.happenings]
    answers = [body["survey"] for body in bodies if body.get("survey", {}).get("action") == "answered"]
    csat = [survey["score"] for survey in answers if survey["kind"] == "csat"]
    nps = [survey["score"] for survey in answers if survey["kind"] == "nps"]
    return Truth(
        touchpoints=len(bodies),
        persons=persons,
        by_type=Counter(body["type"] for body in bodies),
        by_channel=Counter(body["channel"] for body in bodies),
        by_source=Counter(happening.source for happening in year.happenings),
        orders=len(standing),
        revenue_cents=sum(standing),
        cases=len({body["case"]["case_id"] for body in bodies if "case" in body}),
        csat=(sum(score >= 4 for score in csat), len(csat)),
        nps=(sum(score >= 9 for score in nps), sum(score <= 6 for score in nps), len(nps)),
    )


def _person(root: str, happenings: list[Happening]) -> Person:
    person = Person(root, len(happenings))
    waiting: list[Happening] = []
    for happening in happenings:
        journey = _journey_at(person, happening.at_us)
        if journey is None and happening.actor != "customer":
            waiting.append(happening)
            continue
        if journey is None:
            journey = _start(person, happening.at_us, waiting)
            waiting = []
        journey.take(happening.at_us, _stage(person, happening))
        if happening.actor == "customer":
            journey.last_us = happening.at_us
    return person


def _journey_at(person: Person, at_us: int) -> Journey | None:
    if person.journeys and at_us <= person.journeys[-1].last_us + TIMEOUT_US:
        return person.journeys[-1]
    return None


def _start(person: Person, at_us: int, waiting: list[Happening]) -> Journey:
    """A journey; it begins with what others did in the time before that it is long enough to reach."""
    entry: Stage = "loyalty" if person.orders else "awareness"
    journey = Journey(entry, at_us, at_us, entry, reached_us=at_us)
    person.journeys.append(journey)
    for earlier in waiting:
        if at_us - earlier.at_us <= TIMEOUT_US:
            journey.take(at_us, earlier.stage)
    return journey


def _stage(person: Person, happening: Happening) -> Stage | None:
    """The stage of its type; an order is a purchase if no earlier one stands, else loyalty. Keeps the person's orders."""
    order = happening.body.get("order")
    if order is None:
        return happening.stage
    if order["action"] == "cancelled":
        person.orders.pop(order["order_id"], None)
    if order["action"] != "placed":
        return happening.stage
    stage: Stage = "loyalty" if person.orders else "purchase"
    person.orders[order["order_id"]] = int(order["amount"].replace(".", ""))
    return stage


def _count(journey: Journey, rows: dict[Stage, StageRow], as_of_us: int) -> None:
    for stage, row in rows.items():
        row.touchpoints += journey.touched[stage]
        row.touched += journey.touched[stage] > 0
        row.reached += journey.has_reached(stage)
        row.skipped += stage in journey.skipped
        if stage in journey.times_us:
            row.times_us.append(journey.times_us[stage])
    is_over = journey.last_us + TIMEOUT_US <= as_of_us
    rows[journey.furthest].dropped += is_over
    rows[journey.furthest].in_stage_now += not is_over
