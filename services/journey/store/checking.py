"""Recomputes people from their stored touchpoints – who owns what, every fact, every kept state – and compares exactly.

One person at a time, in the caller's snapshot: memory grows with the largest person, not with their number. How often a handle
was seen with a customer is counted anew from the sets, and the fold starts from nothing; of what is kept nothing is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import CaseFact, Ended, Fact
from services.journey.domain.clocks import counted_us
from services.journey.domain.derive import Derived
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.stages import INDEX
from services.journey.domain.state import State, decode_state
from services.journey.store.identities import BEGINNING_US, END_US
from services.journey.store.people import People, Person
from services.journey.store.read import facts_of
from services.journey.store.reclock import Reclock
from services.journey.store.recount import Recount
from services.journey.store.refolding import NO_KEY, Derive, Other, advance, key_of, things_of
from services.journey.store.touchpoints import Span, Touchpoints
from services.shared.config import Settings
from services.shared.db import Database

EXAMPLES = 20
PAGE = 200


@dataclass
class Checked:
    """`checked` people, in whom `mismatches` things are not as they should be."""

    checked: int = 0
    mismatches: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def compare(self, person_id: str, what: str, stored: object, expected: object) -> None:
        if stored != expected:
            self.mismatches += 1
            if len(self.examples) < EXAMPLES:
                shown = {"stored": _shown(stored), "expected": _shown(expected)}
                self.examples.append({"person_id": person_id, "what": what, **shown})


class Checking:
    """One check, in one snapshot."""

    def __init__(self, settings: Settings, database: Database, tx: Connection, rules: FoldRules, derive: Derive) -> None:
        self._db, self._tx, self._rules, self._derive = database, tx, rules, derive
        self._bot_touchpoints = settings.bot_touchpoints
        self._people, self._touchpoints = People(database, settings.partitions), Touchpoints(database)
        self._recount = Recount(database, tx, settings.shared_handle_customers)
        self._reclock = Reclock(database, tx, derive)
        self._result = Checked()

    def check(self, sample: int | None) -> Checked:
        """Of all people (None), or of the first `sample` by person_id: those are hashes, so it is like drawing by lot, but repeatable."""
        for person in self._all() if sample is None else self._first(sample):
            self._result.checked += 1
            self._person(person)
        if sample is None:
            nobody = self._db.execute(
                self._tx, "SELECT count(*) FROM touchpoint WHERE owner_id NOT IN (SELECT root_id FROM person)"
            )
            self._result.compare("", "touchpoints of nobody", nobody[0][0], 0)
            self._reclock.look_at_all()
            self._clocks("")
        return self._result

    def _all(self) -> Iterator[Person]:
        """Everybody, former people too."""
        last = -1
        while True:
            rows = self._db.execute(
                self._tx,
                "SELECT root_id FROM person WHERE root_id > :last ORDER BY root_id LIMIT :page",
                {"last": last, "page": PAGE},
            )
            if not rows:
                return
            last = rows[-1][0]
            yield from self._people.read(self._tx, [row[0] for row in rows]).values()

    def _first(self, sample: int) -> Iterator[Person]:
        last = ""
        while sample > 0:
            rows = self._db.execute(
                self._tx,
                "SELECT root_id, person_id FROM person WHERE person_id > :last AND touchpoints > 0 ORDER BY person_id LIMIT :page",
                {"last": last, "page": min(sample, PAGE)},
            )
            if not rows:
                return
            last, sample = rows[-1][1], sample - len(rows)
            yield from self._people.read(self._tx, [row[0] for row in rows]).values()

    def _person(self, person: Person) -> None:
        stored = self._touchpoints.of_owners(self._tx, [Span(person.root, BEGINNING_US, END_US)]).get(person.root, [])
        own = sorted((self._derive(*one) for one in stored), key=key_of)
        self._owners(person)
        self._clocks(person.person_id)
        self._compare(person, "touchpoints", person.touchpoints, len(own))
        is_bot = len(own) > self._bot_touchpoints
        self._compare(person, "suspected_bot", person.suspected_bot, is_bot)
        folded = [] if is_bot else own
        self._facts(person, self._fold(person, folded))

    # -- who owns what ------------------------------------------------------------------------------------------------------

    def _owners(self, person: Person) -> None:
        """Every touchpoint that this person owns is the person's, under its own identities."""
        rows = self._db.execute(
            self._tx,
            "SELECT source, id, set_id, time_us, original_us, body FROM touchpoint WHERE owner_id = :root",
            {"root": person.root},
        )
        self._recount.learn({row[2] for row in rows})
        for source, id, set_id, time_us, original_us, body in rows:
            derived = self._derive(bytes(body))
            what = f"touchpoint {source}/{id}"
            self._compare(person, f"{what}: owner", person.root, self._recount.owner(set_id, time_us))
            self._compare(person, f"{what}: identities", self._recount.names(set_id), derived.identities)
            right_us = self._reclock.original_us(derived)
            self._compare(person, f"{what}: time by the clock", original_us, right_us)
            self._compare(person, f"{what}: time", time_us, counted_us(right_us, derived.received_us))

    def _clocks(self, person_id: str) -> None:
        """What is kept of the clocks that were looked at is what the touchpoints say."""
        for clock in self._reclock.differing():
            self._result.compare(person_id, *clock)

    # -- facts --------------------------------------------------------------------------------------------------------------

    def _fold(self, person: Person, own: Sequence[Derived]) -> Fold:
        """The person from nothing, with what others did to the person's orders and cases."""
        span = Span(person.root, BEGINNING_US, END_US)
        others = self._touchpoints.of_others(self._tx, [(span, things_of(own))]).get(person.root, [])
        fold = Fold(UUID(person.person_id), self._rules, State(), None)
        last = advance(fold, own, [Other(self._derive(one.body, one.original_us), one.amends) for one in others])
        self._compare(person, "newest touchpoint", person.last, last or NO_KEY)
        fold.finish()
        return fold

    def _facts(self, person: Person, fold: Fold) -> None:
        expected = {place: fact for place, fact in fold.facts.items() if fact is not None}
        months = self._people.months_of(self._tx, [person.root]).get(person.root, [])
        stored = {(month.month, key): fact for month in months for key, fact in facts_of(month).items()}
        for month, key in sorted(stored.keys() | expected.keys()):
            self._compare(person, f"fact {key} of {month_text(month)}", stored.get((month, key)), expected.get((month, key)))
        openings = {month.month: decode_state(month.opening) for month in months if month.opening}
        opened = {month: decode_state(opening) for month, opening in fold.openings.items()}
        for month in sorted(openings.keys() | opened.keys()):
            self._compare(person, f"state before {month_text(month)}", openings.get(month), opened.get(month))
        self._compare(person, "state", decode_state(person.state), fold.state)
        self._rows(person, expected.values())

    def _rows(self, person: Person, facts: Collection[Fact]) -> None:
        """What lists show is what the facts say."""
        ends = [fact for fact in facts if isinstance(fact, Ended)]
        columns = "id, started_us, last_us, entry_stage, furthest_stage, current_stage, channel, source"
        rows = self._db.execute(
            self._tx, f"SELECT {columns} FROM journey WHERE root_id = :root AND NOT gone", {"root": person.root}
        )
        self._compare(person, "journeys in lists", {row[0]: tuple(row[1:]) for row in rows}, _journeys(ends))
        cases = {(fact.system, fact.case_id): fact for fact in facts if isinstance(fact, CaseFact)}
        kept = self._db.execute(self._tx, "SELECT fact FROM service_case WHERE root_id = :root", {"root": person.root})
        listed = [msgspec.json.decode(row[0], type=CaseFact) for row in kept]
        self._compare(person, "cases in lists", {(fact.system, fact.case_id): fact for fact in listed}, cases)

    def _compare(self, person: Person, what: str, stored: object, expected: object) -> None:
        self._result.compare(person.person_id, what, stored, expected)


def _journeys(ends: Collection[Ended]) -> Mapping[str, tuple[object, ...]]:
    return {
        end.cohort.id: (
            end.cohort.started_us,
            end.last_us,
            INDEX[end.cohort.entry_stage],
            INDEX[end.furthest_stage],
            INDEX[end.current_stage],
            end.cohort.channel,
            end.cohort.source,
        )
        for end in ends
    }


def _shown(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, str)) else repr(value)
