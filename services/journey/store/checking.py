"""Recomputes people from their stored touchpoints – who owns what, every fact, every kept state – and compares exactly.

One person at a time, in the caller's snapshot: memory grows with the largest person, not with their number. How often a handle
was seen with a customer is counted anew from the sets, and the fold starts from nothing; of what is kept nothing is believed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import CaseFact, Ended, Fact
from schemas.topics import JOURNEYS
from services.journey.domain.cases import is_resolved
from services.journey.domain.clocks import counted_us
from services.journey.domain.derive import Derived
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.mentions import mentions_in
from services.journey.domain.stages import INDEX
from services.journey.domain.state import State, decode_state
from services.journey.store import spread
from services.journey.store.checking_erased import CheckingErased
from services.journey.store.checking_rows import CheckingRows
from services.journey.store.checking_topic import CheckingTopic
from services.journey.store.hiding import Hidden
from services.journey.store.identities import BEGINNING_US, END_US
from services.journey.store.people import People, Person
from services.journey.store.read import facts_of
from services.journey.store.reclock import Reclock
from services.journey.store.recount import Recount
from services.journey.store.refolding import NO_KEY, Derive, Other, advance, key_of, things_of
from services.journey.store.releases import Releases
from services.journey.store.tables import PERSON
from services.journey.store.touchpoints import Span, Touchpoints
from services.journey.store.weights import MOST_BYTES
from services.shared.bus import Bus
from services.shared.checked import Checked, finished
from services.shared.config import Settings
from services.shared.db import Database
from services.shared.paging import pages

PAGE = 200
_case = msgspec.json.Decoder(CaseFact)


class Checking:
    """One check, in one snapshot."""

    def __init__(self, settings: Settings, database: Database, tx: Connection, rules: FoldRules, derive: Derive) -> None:
        self._db, self._tx, self._rules, self._derive = database, tx, rules, derive
        self._bot_touchpoints = settings.bot_touchpoints
        self._people, self._touchpoints = People(database, settings.partitions), Touchpoints(database)
        self._limit = settings.shared_handle_customers
        self._spread = spread.remembered(database, tx) or settings.partitions
        self._hidden = Hidden(database)
        self._recount = Recount(database, tx, self._limit)
        self._reclock = Reclock(database, tx, derive)
        self._namespace: str = database.execute(tx, "SELECT namespace FROM installation")[0][0]
        self._releases = Releases(database, self._limit)
        self._result = Checked()

    def check(self, sample: int | None, bus: Bus | None = None) -> Checked:
        """The end of `steps`."""
        return finished(self.steps(sample, bus))

    def steps(self, sample: int | None, bus: Bus | None = None, after: str = "") -> Iterator[Checked]:
        """Check, telling of it from time to time: of all people (None), or of the first `sample` by person_id (`after` one): those are
        hashes, so it is like drawing by lot, but repeatable. With everybody the tables are compared with each other, and with the topics of `bus`.
        """
        yield self._result
        for person in self._all() if sample is None else self._first(sample, after):
            self._result.checked += 1
            self._one(person)
            yield self._result
        if sample is None:
            with self._result.reading("", "clocks"):
                self._reclock.look_at_all()
            self._clocks("")
            with self._result.reading("", "releases"):
                for release in self._releases.differences(self._tx):
                    self._result.compare("", *release)
            partitions = None if bus is None else self._partitions(bus)
            for _ in CheckingRows(self._db, self._tx, self._result, partitions, self._limit).steps():
                yield self._result
            for _ in CheckingErased(self._db, self._tx, self._result, partitions).steps():
                yield self._result
            if bus is not None and partitions is not None:
                for _ in CheckingTopic(self._db, bus, self._result, partitions).steps(self._tx):
                    yield self._result

    def _partitions(self, bus: Bus) -> int:
        """How many partitions months are spread over; there may be more."""
        there = bus.describe(JOURNEYS).partitions
        self._result.compare("", "partitions that months are spread over", self._spread, min(self._spread, there))
        return min(self._spread, there)

    def _all(self) -> Iterator[Person]:
        """Everybody, former people too."""
        for page in pages(self._db, self._tx, PERSON, (), PAGE):
            yield from self._read([row[0] for row in page])

    def _first(self, sample: int, last: str) -> Iterator[Person]:
        while sample > 0:
            rows = self._db.execute(
                self._tx,
                "SELECT root_id, person_id FROM person WHERE person_id > :last AND touchpoints > 0 ORDER BY person_id LIMIT :page",
                {"last": last, "page": min(sample, PAGE)},
            )
            if not rows:
                return
            last, sample = rows[-1][1], sample - len(rows)
            yield from self._read([row[0] for row in rows])

    def _read(self, roots: Sequence[int]) -> Iterator[Person]:
        """Those of these people that can be read."""
        for root in roots:
            with self._result.reading("", f"person of identity {root}"):
                yield from self._people.read(self._tx, [root]).values()

    def _one(self, person: Person) -> None:
        """A person who cannot be read through is a difference, and what was learned from it is forgotten."""
        before = self._result.mismatches
        with self._result.reading(person.person_id, "person"):
            self._person(person)
        if self._result.mismatches != before:
            self._recount = Recount(self._db, self._tx, self._limit)

    def _person(self, person: Person) -> None:
        stored = self._touchpoints.of_owners(self._tx, [Span(person.root, BEGINNING_US, END_US)]).get(person.root, [])
        own = sorted((self._derive(*one) for one in stored), key=key_of)
        self._owners(person)
        self._clocks(person.person_id)
        root = self._db.execute(self._tx, "SELECT name FROM identity WHERE id = :root", {"root": person.root})[0][0]
        person_id = self._hidden.person_id(self._tx, UUID(self._namespace), root)
        self._compare(person, "person_id", person.person_id, str(person_id))
        self._compare(person, "touchpoints", person.touchpoints, len(own))
        is_bot = len(own) > self._bot_touchpoints and not self._releases.hold_for(self._tx, [person.root])
        self._compare(person, "suspected_bot", person.suspected_bot, is_bot)
        folded = [] if is_bot else own
        self._facts(person, self._fold(person, folded))

    # -- who owns what ------------------------------------------------------------------------------------------------------

    def _owners(self, person: Person) -> None:
        """Every touchpoint that this person owns is the person's, under its own identities."""
        rows = self._db.execute(
            self._tx,
            "SELECT p.source, p.id, p.set_id, p.time_us, p.body, p.has_copies, p.original_us, p.without_device, "
            "a.id, a.name, p.received_us, p.case_rank "
            "FROM touchpoint p LEFT JOIN identity a ON a.id = p.anchor_id WHERE p.owner_id = :root",
            {"root": person.root},
        )
        self._recount.learn({row[2] for row in rows})
        copies, mentions = Counter((row[0], row[1]) for row in rows), self._mentions(person)
        read = [self._derive(bytes(row[4])) for row in rows]
        self._reclock.learn(read)
        for row, derived in zip(rows, read, strict=True):
            source, id, set_id, time_us, _, has_copies, original_us, without_device, anchor_id, *place = row
            what = f"touchpoint {source}/{id}"
            self._compare(person, f"{what}: owner", person.root, self._recount.owner(set_id, time_us))
            self._compare(person, f"{what}: erased", time_us <= self._recount.refused_us(set_id, person.root), False)
            self._compare(person, f"{what}: identities", self._recount.names(set_id), derived.identities)
            right_us = self._reclock.original_us(derived)
            self._compare(person, f"{what}: time by the clock", original_us, right_us)
            self._compare(person, f"{what}: time", time_us, counted_us(right_us, derived.received_us))
            self._compare(person, f"{what}: source and id", (source, id), (derived.source, derived.id))
            right = [derived.anchor, derived.received_us, derived.case_rank]
            self._compare(person, f"{what}: anchor, receipt and rank", place, right)
            self._compare(person, f"{what}: without a device", bool(without_device), derived.device is None)
            self._compare(person, f"{what}: has copies", bool(has_copies), bool(has_copies) or copies[source, id] > 1)
            found = sorted(mentions[source, id, anchor_id])
            self._compare(person, f"mentions of {what}", found, sorted(mentions_in(derived)))

    def _mentions(self, person: Person) -> Mapping[tuple[str, str, int], Sequence[tuple[str, str]]]:
        """Whom each of this person's touchpoints names, as it is kept."""
        rows = self._db.execute(
            self._tx,
            "SELECT m.source, m.id, m.anchor_id, m.kind, m.name FROM touchpoint p "
            "JOIN mention m ON m.source = p.source AND m.id = p.id AND m.anchor_id = p.anchor_id WHERE p.owner_id = :root",
            {"root": person.root},
        )
        found = defaultdict[tuple[str, str, int], list[tuple[str, str]]](list)
        for source, id, anchor_id, *mention in rows:
            found[source, id, anchor_id].append((mention[0], mention[1]))
        return found

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
        heavy = {month.month: len(month.facts) for month in months if len(month.facts) > MOST_BYTES}
        weighed = self._db.execute(self._tx, "SELECT month, bytes FROM too_large WHERE root_id = :root", {"root": person.root})
        self._compare(person, "months too large", {row[0]: row[1] for row in weighed}, heavy)
        self._compare(person, "too large", person.too_large, bool(heavy))
        highest = max((month.version for month in months), default=0)
        self._compare(person, "version, at least that of each month", person.version, max(person.version, highest))
        self._rows(person, expected.values())

    def _rows(self, person: Person, facts: Collection[Fact]) -> None:
        """What lists show is what the facts say."""
        ends = [fact for fact in facts if isinstance(fact, Ended)]
        columns = "id, started_us, last_us, entry_stage, furthest_stage, current_stage, channel, source, first_source, first_id"
        rows = self._db.execute(
            self._tx, f"SELECT {columns} FROM journey WHERE root_id = :root AND NOT gone", {"root": person.root}
        )
        found = {row[0]: tuple(row[1:]) for row in rows}
        self._result.compare_all(person.person_id, "journeys in lists", found, _journeys(ends))
        cases = {(fact.system, fact.case_id): fact for fact in facts if isinstance(fact, CaseFact)}
        kept = self._db.execute(
            self._tx,
            "SELECT system, case_id, opened_us, last_us, resolved, channel, topic, fact FROM service_case WHERE root_id = :root",
            {"root": person.root},
        )
        listed = {(row[0], row[1]): (*row[2:4], bool(row[4]), *row[5:7], _case.decode(row[7])) for row in kept}
        right = {key: (*_listed(fact), fact) for key, fact in cases.items()}
        self._result.compare_all(person.person_id, "cases in lists", listed, right)

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
            *end.first_id.split("/", 1),
        )
        for end in ends
    }


def _listed(fact: CaseFact) -> tuple[object, ...]:
    return fact.at_us, fact.last_us, is_resolved(fact), fact.channel, fact.topic
