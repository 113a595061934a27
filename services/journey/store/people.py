"""People: the fold's states, their months of facts, journeys and cases for look-ups, and the relay's work list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import lz4.block
import msgspec
from sqlalchemy import Connection, Row

from schemas.calendar import month_text
from schemas.facts import CaseFact, Ended, Fact, month_key
from services.journey.domain.cases import is_resolved
from services.journey.domain.stages import INDEX
from services.journey.domain.state import Key
from services.journey.store.tables import CASE, JOURNEY, MONTH, PERSON, UNPUBLISHED
from services.shared.bus import partition_of
from services.shared.db import Database, Keys

Facts = dict[str, msgspec.Raw]
"""A month's facts by key, each as JSON."""
_facts = msgspec.json.Decoder(Facts)


class Person(NamedTuple):
    """A person as kept; `last` is the place in the order of the newest touchpoint that `state` has taken.

    `suspected_bot`: there are too many touchpoints to fold; `too_large`: a month is, for the bus. Nothing of either is published.
    """

    root: int
    person_id: str
    version: int
    touchpoints: int
    suspected_bot: bool
    too_large: bool
    last: Key
    state: bytes


class Month(NamedTuple):
    """A month as kept: the state before its first touchpoint, and its facts."""

    root: int
    month: int
    version: int
    opening: bytes
    facts: bytes


class Change(NamedTuple):
    """What becomes of one month: None for `facts` takes it away; `published` is whether readers see a difference."""

    root: int
    person_id: str
    month: int
    opening: bytes
    facts: bytes | None
    published: bool


class People:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._db = self.database = database
        self._partitions = self.partitions = partitions

    def read(self, tx: Connection, roots: Collection[int]) -> dict[int, Person]:
        rows = self._db.execute(
            tx,
            "SELECT p.root_id, p.person_id, p.version, p.touchpoints, p.suspected_bot, p.too_large, p.last_time_us, p.last_original_us, "
            "p.last_case_rank, p.last_source, p.last_id, p.state FROM {k} JOIN person p ON p.root_id = k.id",
            k=Keys.ids(roots),
        )
        return {row[0]: _person(row) for row in rows}

    def by_person_id(self, tx: Connection, person_id: str) -> int | None:
        """The root of a person id, also of a former one."""
        rows = self._db.execute(tx, "SELECT root_id FROM person WHERE person_id = :id", {"id": person_id})
        return rows[0][0] if rows else None

    def write(self, tx: Connection, people: Sequence[Person]) -> None:
        self._db.insert(
            tx,
            PERSON,
            (
                "root_id", "person_id", "version", "touchpoints", "suspected_bot", "too_large",
                "last_time_us", "last_original_us", "last_case_rank", "last_source", "last_id", "state",
            ),
            [(*one[:6], *one.last, pack(one.state)) for one in people],
            "ON CONFLICT (root_id) DO UPDATE SET version = excluded.version, touchpoints = excluded.touchpoints, "
            "suspected_bot = excluded.suspected_bot, too_large = excluded.too_large, last_time_us = excluded.last_time_us, "
            "last_original_us = excluded.last_original_us, last_case_rank = excluded.last_case_rank, "
            "last_source = excluded.last_source, last_id = excluded.last_id, state = excluded.state",
        )  # fmt: skip

    def months(self, tx: Connection, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], Month]:
        """Months by (root, month)."""
        rows = self._db.execute(
            tx,
            "SELECT m.root_id, m.month, m.version, m.opening, m.facts FROM {k} "
            "JOIN month m ON m.root_id = k.root AND m.month = k.month",
            k=Keys({"root": "bigint", "month": "bigint"}, list(wanted)),
        )
        return {(row[0], row[1]): _month(row) for row in rows}

    def months_of(self, tx: Connection, roots: Collection[int]) -> dict[int, list[Month]]:
        """All months of these people, in order."""
        rows = self._db.execute(
            tx,
            "SELECT m.root_id, m.month, m.version, m.opening, m.facts FROM {k} JOIN month m ON m.root_id = k.id ORDER BY m.root_id, m.month",
            k=Keys.ids(roots),
        )
        found: dict[int, list[Month]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(_month(row))
        return found

    def write_months(self, tx: Connection, changes: Sequence[Change], version: int) -> None:
        """Write months, take away those without facts, and note what has to be published."""
        gone = [(change.root, change.month) for change in changes if change.facts is None]
        self._db.delete(tx, MONTH, Keys({"root_id": "bigint", "month": "bigint"}, gone))
        self._db.insert(
            tx,
            MONTH,
            ("root_id", "month", "version", "opening", "facts"),
            [
                (change.root, change.month, version, pack(change.opening), pack(change.facts))
                for change in changes
                if change.facts is not None
            ],
            "ON CONFLICT (root_id, month) DO UPDATE SET version = excluded.version, opening = excluded.opening, facts = excluded.facts",
        )
        self.publish(tx, [(one.root, one.person_id, one.month) for one in changes if one.published], version)

    def publish(self, tx: Connection, months: Sequence[tuple[int, str, int]], version: int) -> None:
        """Note that these (root, person_id, month) have to be published as of a version."""
        self._db.insert(
            tx,
            UNPUBLISHED,
            ("partition", "root_id", "month", "version"),
            [
                (partition_of(month_key(person_id, month_text(month)), self._partitions), root, month, version)
                for root, person_id, month in months
            ],
            "ON CONFLICT (partition, root_id, month) DO UPDATE SET version = excluded.version",
        )

    def write_journeys(self, tx: Connection, ended: Sequence[tuple[int, Ended]], gone: Collection[str]) -> None:
        """Bring the rows of journeys up to these facts, by root; those that are `gone` keep their first touchpoint only."""
        if gone:
            self._db.execute(
                tx,
                "UPDATE journey SET gone = true FROM {k} WHERE journey.id = k.id",
                k=Keys({"id": "text"}, [(i,) for i in gone]),
            )
        self._db.insert(
            tx,
            JOURNEY,
            (
                "id", "root_id", "started_us", "last_us", "entry_stage", "furthest_stage", "current_stage",
                "channel", "source", "first_source", "first_id", "gone",
            ),
            [
                (
                    fact.cohort.id, root, fact.cohort.started_us, fact.last_us, INDEX[fact.cohort.entry_stage],
                    INDEX[fact.furthest_stage], INDEX[fact.current_stage], fact.cohort.channel, fact.cohort.source,
                    *fact.first_id.split("/", 1), False,
                )
                for root, fact in ended
            ],
            "ON CONFLICT (id) DO UPDATE SET root_id = excluded.root_id, started_us = excluded.started_us, last_us = excluded.last_us, "
            "entry_stage = excluded.entry_stage, furthest_stage = excluded.furthest_stage, current_stage = excluded.current_stage, "
            "channel = excluded.channel, source = excluded.source, gone = excluded.gone",
        )  # fmt: skip

    def write_cases(self, tx: Connection, cases: Sequence[tuple[int, CaseFact]], gone: Sequence[tuple[int, str, str]]) -> None:
        """Bring the rows of cases up to these facts, by root; `gone` are (root, system, case_id) that this person has no more."""
        self._db.delete(tx, CASE, Keys({"root_id": "bigint", "system": "text", "case_id": "text"}, gone))
        self._db.insert(
            tx,
            CASE,
            ("system", "case_id", "root_id", "opened_us", "last_us", "resolved", "channel", "topic", "fact"),
            [
                (
                    fact.system,
                    fact.case_id,
                    root,
                    fact.at_us,
                    fact.last_us,
                    is_resolved(fact),
                    fact.channel,
                    fact.topic,
                    encode(fact),
                )
                for root, fact in cases
            ],
            "ON CONFLICT (system, case_id) DO UPDATE SET root_id = excluded.root_id, opened_us = excluded.opened_us, "
            "last_us = excluded.last_us, resolved = excluded.resolved, channel = excluded.channel, topic = excluded.topic, fact = excluded.fact",
        )

    def published_months(self, tx: Connection, root: int) -> list[int]:
        """The months of a person that are published, or about to be."""
        rows = self._db.execute(
            tx,
            "SELECT month FROM month WHERE root_id = :root UNION SELECT month FROM unpublished WHERE root_id = :root",
            {"root": root},
        )
        return sorted(row[0] for row in rows)

    def remove(self, tx: Connection, root: int) -> dict[str, int]:
        """Take a person away, with everything that is derived from the touchpoints; returns what that was, by kind."""
        where = "WHERE root_id = :root"
        counts = {
            "journeys": self._db.count(tx, f"DELETE FROM journey {where} AND NOT gone", {"root": root}),
            "former_journeys": self._db.count(tx, f"DELETE FROM journey {where} AND gone", {"root": root}),
            "cases": self._db.count(tx, f"DELETE FROM service_case {where}", {"root": root}),
        }
        for table in ("month", "unpublished", "too_large", "person"):
            self._db.execute(tx, f"DELETE FROM {table} {where}", {"root": root})
        return counts

    def forget_former_journeys(self, tx: Connection, roots: Collection[int], first: Collection[tuple[str, str]]) -> None:
        """Former journeys of these roots that began with one of these touchpoints, of which no copy is left, answer no more."""
        self._db.execute(
            tx,
            "DELETE FROM journey WHERE gone AND root_id IN (SELECT k.id FROM {k}) "
            "AND EXISTS (SELECT 1 FROM {f} WHERE f.source = journey.first_source AND f.id = journey.first_id) "
            "AND NOT EXISTS (SELECT 1 FROM touchpoint p WHERE p.source = journey.first_source AND p.id = journey.first_id)",
            k=Keys.ids(roots),
            f=Keys({"source": "text", "id": "text"}, sorted(set(first))),
        )


def person_ids(database: Database, tx: Connection, roots: Collection[int]) -> dict[int, str]:
    """The ids of those of these people who are known, by root."""
    rows = database.execute(tx, "SELECT p.root_id, p.person_id FROM {k} JOIN person p ON p.root_id = k.id", k=Keys.ids(roots))
    return {row[0]: row[1] for row in rows}


def pack(kept: bytes) -> bytes:
    """States and facts as they lie in the database: compressed, because they repeat themselves."""
    packed: bytes = lz4.block.compress(kept)
    return packed


def unpack(packed: bytes | memoryview) -> bytes:
    kept: bytes = lz4.block.decompress(packed)
    return kept


def decode(facts: bytes) -> Facts:
    return _facts.decode(facts)


def encode(fact: Fact) -> bytes:
    return msgspec.json.encode(fact)


def _person(row: Row[*tuple[Any, ...]]) -> Person:
    return Person(row[0], row[1], row[2], row[3], bool(row[4]), bool(row[5]), Key(*row[6:11]), unpack(row[11]))


def _month(row: Row[*tuple[Any, ...]]) -> Month:
    return Month(row[0], row[1], row[2], unpack(row[3]), unpack(row[4]))
