"""Service contacts. A case is the list of what happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tests.model import Touchpoint
from tests.model.kpis.world import MINUTE_US, MS, WEEK_US, Number, Rows, World, one


@dataclass(frozen=True)
class Case:
    person: str
    events: Sequence[Touchpoint]

    @property
    def opened_us(self) -> int:
        return int(self.events[0]["time_us"])

    def first(self, name: str) -> str | None:
        """The first value of a field that was given."""
        return next((event["case"][name] for event in self.events if event["case"].get(name) is not None), None)

    def times(self, *actions: str) -> list[int]:
        return [event["time_us"] for event in self.events if event["case"]["action"] in actions]

    def responded_us(self, *, bot: bool) -> int | None:
        """The first answer or message of an agent, or of a bot."""
        for event in self.events:
            action, by = event["case"]["action"], event["case"].get("by")
            is_message = action == "message" and (by in ("agent", "bot") or (by is None and event["actor"] == "business"))
            if (action == "answered" or is_message) and (by == "bot") == bot:
                return int(event["time_us"])
        return None

    @cached_property
    def turns(self) -> list[tuple[str, int]]:
        """Resolved and reopened in turn. Resolving what was resolved over a minute ago means that it was reopened at that moment."""
        found: list[tuple[str, int]] = []
        for event in self.events:
            action, at_us = event["case"]["action"], event["time_us"]
            is_resolved = bool(found) and found[-1][0] == "resolved"
            if action == "resolved" and not is_resolved:
                found.append(("resolved", at_us))
            elif action == "resolved" and at_us - found[-1][1] > MINUTE_US:
                found += [("reopened", at_us), ("resolved", at_us)]
            elif action == "reopened" and is_resolved:
                found.append(("reopened", at_us))
        return found

    @property
    def resolved_us(self) -> list[int]:
        return [at_us for turn, at_us in self.turns if turn == "resolved"]

    @property
    def reopened_us(self) -> list[int]:
        return [at_us for turn, at_us in self.turns if turn == "reopened"]

    @property
    def stands_us(self) -> int | None:
        """The resolution that stands."""
        return self.turns[-1][1] if self.turns and self.turns[-1][0] == "resolved" else None

    @property
    def is_open(self) -> bool:
        """Not resolved, and not closed since it was opened or reopened."""
        began_us = self.turns[-1][1] if self.turns else self.opened_us
        closed_us = min(self.times("closed"), default=None)
        return self.stands_us is None and (closed_us is None or closed_us < began_us)

    def reasons(self) -> dict[str, int]:
        """When each was first given."""
        given = [(event["case"]["reason"], event["time_us"]) for event in self.events if event["case"].get("reason")]
        return dict(reversed(given))


def known(world: World) -> list[Case]:
    return [Case(person, events) for person, events in world.about("case")]


def cases(world: World) -> Mapping[str, Rows]:
    every = known(world)
    opened = [case for case in every if world.holds(case.opened_us)]
    resolved = [case for case in every if case.resolved_us and world.holds(case.resolved_us[0])]
    agents = [{event["case"]["agent_id"] for event in case.events if event["case"].get("agent_id")} for case in opened]
    return {
        "cases_opened": one(len(opened)),
        "contact_load": one(len(opened)),
        "first_response_time": lasted(world, ((case.opened_us, case.responded_us(bot=False)) for case in every)),
        "bot_response_time": lasted(world, ((case.opened_us, case.responded_us(bot=True)) for case in every)),
        "first_resolution_time": lasted(world, ((case.opened_us, case.resolved_us[0]) for case in resolved)),
        "resolution_time": lasted(world, ((case.opened_us, case.stands_us) for case in every)),
        "resolution_rate": one(sum(case.stands_us is not None for case in opened), len(opened)),
        "reopen_rate": one(sum(bool(case.reopened_us) for case in resolved), len(resolved)),
        "transfers_per_case": one(sum(len(case.times("transferred")) for case in opened), len(opened)),
        "agents_per_case": one(sum(map(len, agents)), len(opened)),
        "repeated_information": one(sum("repeated_information" in case.reasons() for case in opened), len(opened)),
        "contact_reasons": one(sum(world.holds(at_us) for case in every for at_us in case.reasons().values())),
        "complaints": one(sum(world.holds(case.reasons().get("complaint")) for case in every)),
        "open_cases": one(sum(case.is_open for case in opened)),
        **within_a_week(world, every, opened, resolved),
    }


def lasted(world: World, spans: Iterable[tuple[int, int | None]]) -> Rows:
    """The sum of whole milliseconds, and how many, of what ended in the period."""
    ended = [(end_us - start_us) // MS for start_us, end_us in spans if end_us is not None and world.holds(end_us)]
    return one(sum(ended), len(ended))


def within_a_week(world: World, every: Sequence[Case], opened: Sequence[Case], resolved: Sequence[Case]) -> Mapping[str, Rows]:
    """What is known only when a week has passed."""

    def others(case: Case) -> list[Case]:
        return [other for other in every if other.person == case.person and other.opened_us > case.opened_us]

    def is_first_contact(case: Case) -> bool:
        first_us = case.resolved_us[0]
        again = [
            other.opened_us
            for other in others(case)
            if other.opened_us >= first_us and case.first("topic") is not None and other.first("topic") == case.first("topic")
        ]
        return not any(at_us <= first_us for at_us in case.times("transferred")) and not any(
            at_us <= first_us + WEEK_US for at_us in [*case.reopened_us, *again]
        )

    decided = [case for case in resolved if case.resolved_us[0] + WEEK_US <= world.as_of_us]
    passed = [case for case in opened if case.opened_us + WEEK_US <= world.as_of_us]
    repeated = [case for case in passed if any(other.opened_us <= case.opened_us + WEEK_US for other in others(case))]
    return {
        "first_contact_resolution": {(): Number(sum(map(is_first_contact, decided)), len(decided), len(resolved) - len(decided))},
        "repeat_contacts": {(): Number(len(repeated), len(passed), len(opened) - len(passed))},
    }
