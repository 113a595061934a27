"""What the API asks: people and their facts, pages of touchpoints, journeys and cases. All in the caller's snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row

from schemas.facts import CaseFact, Fact
from services.journey.domain.state import Key
from services.journey.store.people import Month, People, Person
from services.journey.store.places import AFTER, BEFORE, COLUMNS, NEWEST_FIRST, Place, given
from services.journey.store.touchpoints import Span, Stored, Touchpoints, precedence
from services.shared.db import Database, Keys

_month_facts = msgspec.json.Decoder(dict[str, Fact])
_case_fact = msgspec.json.Decoder(CaseFact)
BEFORE_ALL = -1
"""Below every anchor: a place with it lies before all copies of its touchpoint."""
_JOURNEY = (
    "j.id, p.person_id, j.started_us, j.last_us, j.entry_stage, j.furthest_stage, j.current_stage, j.channel, j.source "
    "FROM journey j JOIN person p ON p.root_id = j.root_id"
)


class JourneyRow(NamedTuple):
    """A journey in a list; stages are indices."""

    id: str
    person_id: str
    started_us: int
    last_us: int
    entry_stage: int
    furthest_stage: int
    current_stage: int
    channel: str
    source: str


class CaseRow(NamedTuple):
    """A case in a list."""

    person_id: str
    fact: CaseFact


class KnownJourney(NamedTuple):
    """What is known of a journey's id: whose it is or was, and its first touchpoint."""

    root: int
    started_us: int
    source: str
    first_id: str
    gone: bool


class StoredBody(NamedTuple):
    """A stored touchpoint, as it travelled."""

    place: Place
    body: bytes


class Mention(NamedTuple):
    """A touchpoint that names somebody who is not its person; `kind` says as what (`domain.mentions`)."""

    kind: str
    name: str
    time_us: int
    source: str
    id: str


class Reading:
    """One snapshot's answers."""

    def __init__(self, database: Database, tx: Connection, partitions: int) -> None:
        self._db, self._tx = database, tx
        self._people, self._touchpoints = People(database, partitions), Touchpoints(database)

    # -- people -------------------------------------------------------------------------------------------------------------

    def person(self, root: int) -> Person | None:
        """The person of a root identity, if any touchpoint is theirs now."""
        person = self._people.read(self._tx, [root]).get(root)
        return person if person is not None and person.touchpoints > 0 else None

    def root_of_person_id(self, person_id: str) -> int | None:
        """Of a present or a former person."""
        return self._people.by_person_id(self._tx, person_id)

    def months(self, root: int) -> list[Month]:
        return self._people.months_of(self._tx, [root]).get(root, [])

    def each_month(self, root: int) -> Iterator[Month]:
        """The same one by one, so that not all are in memory."""
        rows = self._db.execute(self._tx, "SELECT month FROM month WHERE root_id = :root ORDER BY month", {"root": root})
        for (month,) in rows:
            yield from self._people.months(self._tx, [(root, month)]).values()

    def facts(self, root: int) -> list[Fact]:
        """All facts of a person."""
        return [fact for month in self.months(root) for fact in facts_of(month).values()]

    # -- touchpoints --------------------------------------------------------------------------------------------------------

    def newest(self, root: int, before: Key | None, limit: int) -> list[tuple[Key, bytes]]:
        """A person's newest touchpoints, the newest first, one copy of each; those before a place in the order."""
        found: list[tuple[Key, bytes]] = []
        place = Place(*before, BEFORE_ALL) if before is not None else None
        while len(found) < limit:
            rows = self._newest_rows(root, place, limit - len(found))
            if not rows:
                break
            copied = {(row[3], row[4]) for row in rows if row[6]}
            counting = self._counting(root, copied) if copied else {}
            for row in rows:
                body = bytes(row[8])
                if not row[6] or counting[row[3], row[4]] == precedence(row[7], body):
                    found.append((Key(*row[:5]), body))
            place = Place(*rows[-1][:6])
        return found

    def oldest(self, root: int, after: Place | None, limit: int) -> list[StoredBody]:
        """A person's touchpoints, all copies, the oldest first; those after a place in the order."""
        condition = f"AND {AFTER} " if after is not None else ""
        rows = self._db.execute(
            self._tx,
            f"SELECT {COLUMNS}, p.body FROM touchpoint p WHERE p.owner_id = :root {condition}ORDER BY {COLUMNS} LIMIT :limit",
            {"root": root, "limit": limit, **given(after)},
        )
        return [StoredBody(Place(*row[:6]), bytes(row[6])) for row in rows]

    def mentions(self, names: Collection[str], root: int) -> list[Mention]:
        """Where touchpoints of other people than this one mention these identities."""
        rows = self._db.execute(
            self._tx,
            "SELECT m.kind, m.name, p.time_us, m.source, m.id FROM {k} JOIN mention m ON m.name = k.name "
            "JOIN touchpoint p ON p.source = m.source AND p.id = m.id AND p.anchor_id = m.anchor_id "
            "WHERE p.owner_id <> :root ORDER BY p.time_us, m.source, m.id",
            {"root": root},
            k=Keys({"name": "text"}, [(name,) for name in names]),
        )
        return [Mention(*row) for row in rows]

    def of_owner(self, root: int, from_us: int, to_us: int) -> list[Stored]:
        """A person's touchpoints from one time up to but not including another, in no order."""
        return self._touchpoints.of_owners(self._tx, [Span(root, from_us, to_us)]).get(root, [])

    def whereabouts(self, source: str, id: str) -> list[tuple[int, int]]:
        """The owners and times of a touchpoint; of several copies, the least received first."""
        copies = sorted(self._touchpoints.copies(self._tx, [(source, id)]), key=lambda kept: kept.received_us)
        return [(kept.owner, kept.time_us) for kept in copies]

    def _newest_rows(self, root: int, before: Place | None, limit: int) -> Sequence[Row[*tuple[Any, ...]]]:
        condition = f"AND {BEFORE} " if before is not None else ""
        return self._db.execute(
            self._tx,
            f"SELECT {COLUMNS}, p.has_copies, p.received_us, p.body FROM touchpoint p WHERE p.owner_id = :root {condition}"
            f"ORDER BY {NEWEST_FIRST} LIMIT :limit",
            {"root": root, "limit": limit, **given(before)},
        )

    def _counting(self, root: int, ids: set[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        """The precedence of the copy that counts, of touchpoints that a person has several copies of."""
        rows = self._db.execute(
            self._tx,
            "SELECT p.source, p.id, p.received_us, p.body FROM {k} JOIN touchpoint p ON p.source = k.source AND p.id = k.id "
            "WHERE p.owner_id = :root",
            {"root": root},
            k=Keys({"source": "text", "id": "text"}, sorted(ids)),
        )
        least: dict[tuple[str, str], tuple[int, bytes]] = {}
        for source, id, received_us, body in rows:
            copy = precedence(received_us, bytes(body))
            least[source, id] = min(least.get((source, id), copy), copy)
        return least

    # -- lists --------------------------------------------------------------------------------------------------------------

    def journeys(self, filters: Mapping[str, object], before: tuple[int, str] | None, limit: int) -> list[JourneyRow]:
        """Journeys, the last started first. `filters` are `stage`, `furthest` (indices), `channel`, `heard_since_us`, `silent_since_us`,
        `since_us` and `until_us` (not included)."""
        conditions = [_JOURNEY_FILTERS[name] for name in filters]
        parameters = {**filters, "limit": limit}
        if before is not None:
            conditions.append("(j.started_us, j.id) < (:before_us, CAST(:before_id AS text))")
            parameters.update(before_us=before[0], before_id=before[1])
        where = "".join(f" AND {condition}" for condition in conditions)
        rows = self._db.execute(
            self._tx,
            f"SELECT {_JOURNEY} WHERE NOT j.gone{where} ORDER BY j.started_us DESC, j.id DESC LIMIT :limit",
            parameters,
        )
        return [JourneyRow(*row) for row in rows]

    def journey(self, id: str) -> KnownJourney | None:
        """A journey that is or was."""
        rows = self._db.execute(
            self._tx, "SELECT root_id, started_us, first_source, first_id, gone FROM journey WHERE id = :id", {"id": id}
        )
        return KnownJourney(*rows[0]) if rows else None

    def cases(self, filters: Mapping[str, object], before: tuple[int, str, str] | None, limit: int) -> list[CaseRow]:
        """Cases, the last opened first. `filters` are `system`, `case_id`, `topic`, `resolved`, `since_us` and `until_us` (not included)."""
        conditions = [_CASE_FILTERS[name] for name in filters]
        parameters = {**filters, "limit": limit}
        if before is not None:
            conditions.append(
                "(c.opened_us, c.system, c.case_id) < (:before_us, CAST(:before_system AS text), CAST(:before_id AS text))"
            )
            parameters.update(before_us=before[0], before_system=before[1], before_id=before[2])
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._db.execute(
            self._tx,
            f"SELECT p.person_id, c.fact FROM service_case c JOIN person p ON p.root_id = c.root_id {where} "
            "ORDER BY c.opened_us DESC, c.system DESC, c.case_id DESC LIMIT :limit",
            parameters,
        )
        return [CaseRow(row[0], _case_fact.decode(row[1])) for row in rows]


_JOURNEY_FILTERS = {
    "stage": "j.current_stage = :stage",
    "furthest": "j.furthest_stage = :furthest",
    "channel": "j.channel = :channel",
    "heard_since_us": "j.last_us >= :heard_since_us",
    "silent_since_us": "j.last_us < :silent_since_us",
    "since_us": "j.started_us >= :since_us",
    "until_us": "j.started_us < :until_us",
}
_CASE_FILTERS = {
    "system": "c.system = :system",
    "case_id": "c.case_id = :case_id",
    "topic": "c.topic = :topic",
    "resolved": "c.resolved = :resolved",
    "since_us": "c.opened_us >= :since_us",
    "until_us": "c.opened_us < :until_us",
}


def facts_of(month: Month) -> dict[str, Fact]:
    """A month's facts by key."""
    return _month_facts.decode(month.facts)
