"""Answers the API's questions from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from schemas.calendar import day_text
from schemas.facts import Day, Ended, Fact
from schemas.identity import rank_key
from schemas.touchpoint import Stage
from services.journey import answers, asked
from services.journey.asked import PERSON_ID, Wanted
from services.journey.domain.derive import Derived
from services.journey.domain.describe import Description, Journey, describe, journey_at
from services.journey.domain.fold import FoldRules
from services.journey.domain.state import Key
from services.journey.duplicates import Duplicates
from services.journey.export import Export
from services.journey.grounds import Showing
from services.journey.store.aside import Aside
from services.journey.store.evidence import Evidence
from services.journey.store.hiding import Hidden
from services.journey.store.paths import Paths
from services.journey.store.people import Person
from services.journey.store.places import Place
from services.journey.store.read import KnownJourney, Reading
from services.journey.store.refolding import Derive, key_of
from services.journey.store.relaying import is_identified
from services.journey.store.resolving import Resolving
from services.shared.config import Settings
from services.shared.db import Database
from services.shared.http import Problem, next_cursor, place_after

FIRST_IDENTITIES = 100
"""How many identities a person's answer lists itself."""
FIRST_EVIDENCE = 10
"""How many pieces of evidence a list of identities gives of each."""
MOST_SPLIT = 100
"""How many handles that are split in time are looked at for likely duplicates."""
Answer = dict[str, Any]
Row = TypeVar("Row")


class Page(NamedTuple):
    """Rows of a list, and the place to go on from; None: that was all. What is told `beside` them is not in a table (CSV)."""

    rows: Sequence[Mapping[str, Any]]
    next_cursor: str | None
    beside: Mapping[str, Any] = MappingProxyType({})


class Questions:
    """Everything that can be asked, at one moment. Problem 404 says what there isn't."""

    def __init__(
        self, settings: Settings, database: Database, tx: Connection, rules: FoldRules, derive: Derive, now_us: int
    ) -> None:
        self._rules, self._derive, self._now_us = rules, derive, now_us
        self._reading = Reading(database, tx, settings.partitions)
        self._hidden, self._tx = Hidden(database), tx
        self._resolving = Resolving(database, tx, settings.shared_handle_customers)
        self._evidence = Evidence(database, tx)
        self._paths = Paths(database, tx, self._resolving)
        self._aside, self._bot_touchpoints = Aside(database, tx), settings.bot_touchpoints
        self._showing = Showing(database, tx, self._resolving, derive)

    # -- people -------------------------------------------------------------------------------------------------------------

    def person(self, wanted: Wanted, at_us: int) -> Answer:
        person = self._person(wanted, at_us)
        names = sorted(self._resolving.names_of(person.root, at_us), key=rank_key)
        answer = answers.person(person, self._described(person.root), names[:FIRST_IDENTITIES], len(names), self._now_us)
        answer["set_aside"] = answers.set_aside(person, self._bot_touchpoints)
        return answer | {"identified": is_identified(self._resolving.name(person.root))}

    def set_aside(self, after: str | None, limit: int) -> Page:
        """People who are set aside, by person_id."""
        found = self._aside.listed(after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        rows = [answers.set_aside_row(one) for one in found[:limit]]
        return Page(rows, next_cursor((last.person_id,)) if last is not None else None, {"counts": self._aside.counts()})

    def identities(self, wanted: Wanted, at_us: int, after: str | None, limit: int) -> Page:
        """The highest rank first, then by their bytes."""
        person = self._person(wanted, at_us)
        names = {**self._resolving.shared_by(person.root), **self._resolving.names_of(person.root, at_us)}
        start = rank_key(after) if after is not None else (-1, "")
        listed = sorted((name for name in names if rank_key(name) > start), key=rank_key)
        rows = [self._identity(name, names[name], person.root, at_us) for name in listed[:limit]]
        leads = {name: names[name] for name in listed[:limit]} | (
            self._resolving.split_with(person.root, MOST_SPLIT) if after is None else {}
        )
        likely = self._likely(leads, person.root, at_us)
        return Page(rows, next_cursor((listed[limit - 1],)) if len(listed) > limit else None, {"likely_duplicates": likely})

    def path(self, one: str, other: str, at_us: int) -> list[Answer] | None:
        """By what two identities are one person, step by step; None if they are not."""
        steps = self._paths.between(one, other, at_us)
        return None if steps is None else [answers.step(step) for step in steps]

    def export(self, wanted: Wanted, at_us: int) -> Iterator[bytes]:
        """Everything that is held on a person, as one JSON document in parts."""
        person = self._person(wanted, at_us)
        return Export(self._reading, self._resolving, self._showing, self._derive, self._now_us).parts(person, at_us)

    def evidence(self, wanted: Wanted, of: Wanted, at_us: int, before: Place | None, limit: int) -> Page:
        """All that was ever said about one identity, with regard to a person; the newest first."""
        person, identity = self._person(wanted, at_us), self._resolving.find(of.name)
        if identity is None:
            raise Problem(404, "unknown_identity", "nobody was ever seen with this identity", {"identity": of.name})
        found = self._showing.evidence(identity, person.root, at_us, before, limit)
        return Page(found.rows, next_cursor(found.next_place) if found.next_place is not None else None)

    def touchpoints(self, wanted: Wanted, at_us: int, before: Key | None, limit: int) -> Page:
        """The newest first."""
        person = self._person(wanted, at_us)
        found = self._reading.newest(person.root, before, limit + 1)
        page, more = found[:limit], len(found) > limit
        told = [(self._derive(body, key.original_us), body) for key, body in page]
        facts = self._reading.facts(person.root)
        stages = self._stages(person.root, [derived for derived, _ in told], facts)
        ends = sorted((fact for fact in facts if isinstance(fact, Ended)), key=lambda end: end.at_us)
        rows = [
            answers.touchpoint(derived, body, stage, _journey_id(ends, derived))
            for (derived, body), stage in zip(told, stages, strict=True)
        ]
        return Page(rows, next_cursor(page[-1][0]) if more else None)

    def name_of(self, wanted: Wanted, at_us: int) -> str:
        """The identity that names a person in a command: the one that was asked for, of a person_id the root."""
        person = self._person(wanted, at_us)
        return self._resolving.name(person.root) if wanted.namespace == PERSON_ID else wanted.name

    def names_to_erase(self, wanted: Wanted, at_us: int) -> list[str]:
        """All identities of a person; the first one resolves to the person at that time."""
        person = self._person(wanted, at_us)
        names = self._resolving.names_of(person.root, at_us)
        asked_for = [wanted.name] if wanted.name in names else []
        root = self._resolving.name(person.root)
        first = asked_for or ([root] if root in names else [])
        return list(dict.fromkeys([*first, *sorted(names, key=rank_key), root]))

    def _person(self, wanted: Wanted, at_us: int) -> Person:
        if wanted.namespace == PERSON_ID and self._hidden.is_former(self._tx, wanted.value):
            message = "this person was erased; who comes back is somebody new, found by an identity"
            raise Problem(410, "erased_person", message, {"identity": wanted.name})
        if wanted.namespace == PERSON_ID:
            identity = self._reading.root_of_person_id(wanted.value)
            present = self._reading.person(identity) if identity is not None else None
            if present is not None:
                return present
        else:
            identity = self._resolving.find(wanted.name)
        person = self._owner(identity, at_us) if identity is not None else None
        if person is None:
            raise Problem(404, "unknown_person", "no touchpoint belongs to somebody of this name", {"identity": wanted.name})
        return person

    def _owner(self, identity: int, at_us: int) -> Person | None:
        """The person that an identity resolves to; where a root has no touchpoint of its own, whom the root resolves to."""
        while (root := self._resolving.root(identity, at_us)) != identity:
            if (person := self._reading.person(root)) is not None:
                return person
            identity = root
        return self._reading.person(identity)

    def _described(self, root: int) -> Description:
        return describe(self._reading.facts(root))

    def _identity(self, name: str, identity: int, root: int, at_us: int) -> Answer:
        owned = self._resolving.owned(identity, at_us)
        company = self._resolving.name(owned.company) if owned.company is not None else None
        row = answers.identity(name, owned, company, self._resolving.linked_to(identity))
        found = self._showing.evidence(identity, root, at_us, None, FIRST_EVIDENCE)
        more = next_cursor(found.next_place) if found.next_place is not None else None
        return row | {"evidence": found.rows, "more_evidence": more}

    def _likely(self, names: Mapping[str, int], root: int, at_us: int) -> list[Answer]:
        guesses = Duplicates(self._resolving, self._evidence, lambda identity: self._owner(identity, at_us))
        found = guesses.of(names, root, self._showing.commands({root, *names.values()}))
        return [
            {
                "person_id": likely.person.person_id,
                "identity": self._resolving.name(likely.person.root),
                "reason": likely.reason,
                "mine": likely.mine,
                "theirs": likely.theirs,
            }
            for likely in found
        ]

    def _stages(self, root: int, newest_first: Sequence[Derived], facts: Sequence[Fact]) -> list[Stage | None]:
        """The stage each of these counts in. Days list their touchpoints in order, so the place of the oldest in its day gives all."""
        days = {fact.day: fact for fact in facts if isinstance(fact, Day)}
        stages: list[Stage | None] = []
        counted: dict[str, int] = {}
        for derived in reversed(newest_first):
            name = day_text(self._rules.calendar.day_of(derived.time_us))
            if name not in days:
                stages.append(derived.stage)
                continue
            if not counted:
                counted[name] = self._before(root, days[name].at_us, derived)
            place = counted.get(name, 0)
            counted[name] = place + 1
            stages.append(days[name].items[place].stage)
        return stages[::-1]

    def _before(self, root: int, from_us: int, derived: Derived) -> int:
        """How many of a person's touchpoints from a time on come before one of them."""
        stored = self._reading.of_owner(root, from_us, derived.time_us + 1)
        return sum(key_of(self._derive(*one)) < key_of(derived) for one in stored)

    # -- journeys and cases -------------------------------------------------------------------------------------------------

    def journeys(self, given: Mapping[str, str], limit: int) -> Page:
        """The last started first."""
        filters = asked.journey_filters(given, self._now_us, self._rules.timeout_us)
        found = self._reading.journeys(filters, place_after(given, tuple[int, str]), limit + 1)
        rows = [answers.journey_row(row, self._now_us, self._rules.timeout_us) for row in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        return Page(rows, next_cursor((last.started_us, last.id)) if last is not None else None)

    def journey(self, id: str) -> Answer:
        """A journey by its present id or a former one."""
        known = self._reading.journey(_uuid_text(id))
        found = self._present_journey(known) if known is not None else None
        if found is None:
            raise Problem(404, "unknown_journey", "there is no journey of this id; GET /v1/journeys lists them", {"id": id})
        person, journey = found
        return {"person_id": person.person_id, **answers.journey(journey, self._now_us)}

    def _present_journey(self, known: KnownJourney) -> tuple[Person, Journey] | None:
        """The journey itself, or, where it is gone, the one that holds its first touchpoint now."""
        places = self._reading.whereabouts(known.source, known.first_id) if known.gone else [(known.root, known.started_us)]
        for root, at_us in places:
            person, journeys = self._reading.person(root), self._described(root).journeys
            index = journey_at([journey.ended for journey in journeys], at_us)
            if person is not None and index is not None:
                return person, journeys[index]
        return None

    def cases(self, given: Mapping[str, str], limit: int) -> Page:
        """The last opened first."""
        found = self._reading.cases(asked.case_filters(given), place_after(given, tuple[int, str, str]), limit + 1)
        last = found[limit - 1].fact if len(found) > limit else None
        rows = [answers.case_row(row) for row in found[:limit]]
        return Page(rows, next_cursor((last.at_us, last.system, last.case_id)) if last is not None else None)


def _journey_id(ends: Sequence[Ended], derived: Derived) -> str | None:
    index = journey_at(ends, derived.time_us)
    return ends[index].cohort.id if index is not None else None


def _uuid_text(text: str) -> str:
    """The usual form of a UUID; "" for what is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""
