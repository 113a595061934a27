"""Journey's domain against the model: the same owners, the same journeys, the same stage table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.facts import Ended, Fact, Step, Touched
from services.journey.domain import identity as domain
from services.journey.domain import links
from tests.model import Command, Touchpoint, order_of
from tests.model.identity import Identities, Marks, anchor_of, is_void, key_of
from tests.model.journeys import Journey, journeys
from tests.property import folded
from tests.property.test_model_identity import commands, sets
from tests.property.test_model_journeys import at, histories

PERSON = UUID(int=7)
DAY_US = 86_400_000_000


class Interned:
    """The stored touchpoints of the model as the domain sees them; numbers are given in the order of the names."""

    def __init__(self, identities: Identities, commands: Sequence[Command]) -> None:
        given = {identity for touchpoint in identities.stored for identity in touchpoint["identities"]}
        linked = {identity for command in commands for identity in command["identities"]}
        self.numbers: dict[str, int] = {name: number for number, name in enumerate(sorted(given | linked))}
        self.stands_for, self.parted = self.classes(commands)
        self.names = {number: name for name, number in self.numbers.items()}
        self.view = domain.View(identities.shared_over)
        self.sightings: defaultdict[int, list[domain.Sighting]] = defaultdict(list)
        self.set_of: dict[tuple[int, ...], int] = {}
        for name, touchpoints in identities.seen.items():
            customers = {self.numbers[who] for t in touchpoints if (who := identities.customer_in(t)) is not None}
            only = next(iter(customers)) if len(customers) == 1 else None
            self.view.identities[self.numbers[name]] = domain.Identity(self.numbers[name], name, len(customers), only)
        for number, name in self.names.items():
            known = self.view.identities.get(number, domain.Identity(number, name))
            erased_us, wiped_us = identities.marks.erased.get(name), identities.marks.wiped.get(name)
            has_ghosts = any(key_of(touchpoint) in identities.marks.gone for touchpoint in identities.seen.get(name, ()))
            self.view.identities[number] = known._replace(erased_us=erased_us, wiped_us=wiped_us, has_ghosts=has_ghosts)
        self.marks = identities.marks
        self.haunted = {self.members(touchpoint) for touchpoint in identities.stored if key_of(touchpoint) in self.marks.gone}
        for touchpoint in identities.stored:
            self.add(touchpoint)

    def classes(self, commands: Sequence[Command]) -> tuple[dict[int, domain.Identity], set[links.Pair]]:
        """What each linked identity stands for, and the parted pairs."""
        pairs = links.newest(
            (self.numbers[command["identities"][0]], self.numbers[command["identities"][1]], command["action"] == "link")
            for command in sorted(commands, key=lambda command: (command["at_us"], command["id"]))
        )
        names = {number: name for name, number in self.numbers.items()}
        stands_for = {}
        for members in links.classes((), [pair for pair, is_link in pairs.items() if is_link]):
            root = links.representative(domain.Identity(member, names[member]) for member in members)
            stands_for.update(dict.fromkeys(members, root))
        return stands_for, {pair for pair, is_link in pairs.items() if not is_link}

    def add(self, touchpoint: Touchpoint) -> None:
        given = self.members(touchpoint)
        set_id = self.set_of.setdefault(given, len(self.set_of))
        names = [domain.Identity(number, self.names[number]) for number in given]
        members, customer, parted = links.form(names, self.stands_for, self.parted)
        self.view.add_set(domain.IdentitySet(set_id, members, customer, parted, has_ghosts=given in self.haunted))
        time_us, original_us, rank, source, id = order_of(touchpoint)
        sighting = domain.Sighting(time_us, original_us, rank, source, id, anchor_of(touchpoint), set_id)
        if (key := key_of(touchpoint)) in self.marks.gone:
            sighting = sighting._replace(source=self.marks.veil(key), id="", anchor="", is_ghost=True)
        for member in members:
            self.sightings[member].append(sighting)

    def members(self, touchpoint: Touchpoint) -> tuple[int, ...]:
        return tuple(self.numbers[name] for name in touchpoint["identities"])

    def of_rule(self, handle: int) -> list[domain.Sighting]:
        rule = self.view.rule(handle)
        assert isinstance(rule, domain.Timed)
        return sorted(sighting for sighting in self.sightings[handle] if sighting.set_id in rule.sets)

    def root(self, touchpoint: Touchpoint) -> str:
        one = self.view.sets[self.set_of[self.members(touchpoint)]]
        return self.names[domain.root_at(self.view, self.view.anchor(one), touchpoint["time_us"], self.of_rule)]


@settings(max_examples=300)
@given(sets, st.integers(1, 3), commands)
def test_the_domain_finds_the_owners_that_the_model_finds(
    given_set: list[Touchpoint], limit: int, decided: list[Command]
) -> None:
    identities = Identities(given_set, limit, decided)
    interned = Interned(identities, decided)
    found = {key_of(touchpoint): interned.root(touchpoint) for touchpoint in identities.stored}
    assert found == {key_of(touchpoint): identities.root(touchpoint) for touchpoint in identities.stored}


@settings(max_examples=200)
@given(sets, st.integers(1, 3), commands, st.data())
def test_the_domain_finds_the_owners_that_the_model_finds_among_ghosts(
    given_set: list[Touchpoint], limit: int, decided: list[Command], data: st.DataObject
) -> None:
    everything = Identities(given_set, limit)
    marks = Marks.none()
    if everything.seen:
        names = st.sampled_from(sorted(everything.seen))
        marks.gone.update(data.draw(st.sets(st.sampled_from([key_of(one) for one in everything.stored]))))
        marks.erased.update(data.draw(st.dictionaries(names, st.integers(0, 8))))
        marks.wiped.update(data.draw(st.dictionaries(names, st.integers(0, 8))))
    identities = Identities(given_set, limit, decided, marks)
    interned = Interned(
        identities, [command for command in decided if command["action"] == "unlink" or not is_void(command, marks)]
    )
    found = {key_of(touchpoint): interned.root(touchpoint) for touchpoint in identities.stored}
    assert found == {key_of(touchpoint): identities.root(touchpoint) for touchpoint in identities.stored}
    if not decided:
        for touchpoint in identities.stored:
            one = interned.view.sets[interned.set_of[interned.members(touchpoint)]]
            until_us = interned.view.refused_us(one, interned.numbers[identities.root(touchpoint)])
            assert until_us == identities.refused_us(touchpoint)


def facts_of(history: list[Touchpoint], timeout_us: int) -> list[Fact]:
    months = folded.facts_of(PERSON, map(folded.derived, sorted(history, key=order_of)), timeout_us)
    return [fact for facts in months.values() for fact in facts]


def stated(facts: list[Fact], unit: str) -> list[dict[str, Any]]:
    """What the facts say of each journey, in the order of their starts."""
    said: defaultdict[int, dict[str, Any]] = defaultdict(lambda: {"reached": {}, "touched": {}, "times_ms": {}, "skipped": set()})
    for fact in facts:
        if isinstance(fact, (Step, Touched)) and fact.unit == unit:
            one = said[fact.cohort.started_us]
            if isinstance(fact, Touched):
                one["touched"][fact.stage] = fact.at_us
                continue
            one["reached"] |= dict.fromkeys([*fact.skipped, fact.to_stage], fact.at_us)
            one["skipped"] |= set(fact.skipped)
            if fact.from_stage is None:
                one["entry"] = fact.to_stage
            elif fact.time_ms is not None:
                one["times_ms"][fact.from_stage] = fact.time_ms
        elif isinstance(fact, Ended) and unit == "journey":
            said[fact.cohort.started_us]["end"] = (fact.last_us, fact.at_us, fact.furthest_stage, fact.current_stage)
    return [said[started_us] for started_us in sorted(said)]


def expected(journey: Journey) -> dict[str, Any]:
    stages = journey.stages
    found: dict[str, Any] = {
        "entry": journey.entry_stage,
        "reached": {name: stage.reached_us for name, stage in stages.items() if stage.reached_us is not None},
        "touched": {name: stage.touched_us for name, stage in stages.items() if stage.touched_us is not None},
        "times_ms": {name: stage.time_us // 1000 for name, stage in stages.items() if stage.time_us is not None},
        "skipped": {name for name, stage in stages.items() if stage.skipped},
    }
    if journey.over_us is not None:
        found["end"] = (journey.last_us, journey.over_us, journey.furthest_stage, journey.current_stage)
    return found


def spread(history: list[Touchpoint]) -> list[Touchpoint]:
    """The same history over months: a unit of time is a day."""
    return [touchpoint | {"time_us": touchpoint["time_us"] * DAY_US} for touchpoint in history]


@given(histories())
def test_the_fold_states_the_journeys_that_the_model_finds(history: list[Touchpoint]) -> None:
    history = spread(history)
    found = journeys(history, 10 * DAY_US)
    assert stated(facts_of(history, 10 * DAY_US), "journey") == [expected(journey) for journey in found]


@given(histories())
def test_the_fold_states_the_whole_history_that_the_model_finds(history: list[Touchpoint]) -> None:
    history = spread(history)
    found = journeys(history, None)
    assert stated(facts_of(history, 10 * DAY_US), "person") == [expected(journey) for journey in found]


def test_an_adopted_touchpoint_s_stage_is_current_until_a_newer_one_has_a_stage() -> None:
    history = spread([at(0, "consideration", "business"), at(1)])
    assert stated(facts_of(history, 10 * DAY_US), "journey") == [expected(one) for one in journeys(history, 10 * DAY_US)]


def test_a_whole_history_enters_at_loyalty_after_an_order_that_others_reported() -> None:
    history = spread([at(0, None, "business", order="1"), at(1)])
    assert stated(facts_of(history, 10 * DAY_US), "person") == [expected(one) for one in journeys(history, None)]
