"""Whether the rows of journey's tables fit each other: what no single person's touchpoints tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID, uuid5

from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from schemas.identity import is_customer
from services.journey.domain.identity import Identity
from services.journey.domain.links import Form, Pair, classes, form, newest, representative
from services.journey.store.identities import Identities
from services.journey.store.people import person_ids
from services.journey.store.tables import IDENTITY, IDENTITY_SET, JOURNEY, UNPUBLISHED
from services.journey.store.versions import last_version
from services.shared.bus import partition_of
from services.shared.checked import Checked
from services.shared.db import Database, Keys
from services.shared.paging import pages

Pairs = set[tuple[int, int]]
"""(identity, set) of rows."""
_NAMES_SOMETHING = {
    "touchpoint": (("owner_id", "person", "root_id"), ("set_id", "identity_set", "id"), ("anchor_id", "identity", "id")),
    "person": (("root_id", "identity", "id"),),
    "month": (("root_id", "person", "root_id"),),
    "unpublished": (("root_id", "person", "root_id"),),
    "journey": (("root_id", "person", "root_id"),),
    "service_case": (("root_id", "person", "root_id"),),
    "membership": (("set_id", "identity_set", "id"), ("identity_id", "identity", "id")),
    "standing": (("set_id", "identity_set", "id"), ("identity_id", "identity", "id")),
    "identity": (("stands_for", "identity", "id"),),
    "ghost": (("set_id", "identity_set", "id"),),
    "command": (("one_id", "identity", "id"), ("other_id", "identity", "id")),
}
"""{table: columns that name a row of another table}."""


class CheckingRows:
    """One check, in one snapshot. `partitions`: of the topic `journeys`, where that is known; `limit`: the most customers of a handle."""

    def __init__(self, database: Database, tx: Connection, result: Checked, partitions: int | None, limit: int) -> None:
        self._db, self._tx, self._result = database, tx, result
        self._partitions, self._limit = partitions, limit
        self._names = Identities(database)
        self._stands_for: dict[int, Identity] = {}
        self._parted: set[Pair] = set()

    def steps(self) -> Iterator[None]:
        """Everything, in pages."""
        self._installation()
        for check in (self._references, self._identities, self._sets, self._journeys, self._unpublished):
            yield from check()

    def _installation(self) -> None:
        rows = self._db.execute(self._tx, "SELECT id FROM installation")
        self._result.compare("", "installation", [row[0] for row in rows], [1])
        last = last_version(self._db, self._tx)
        for table in ("person", "month", "unpublished", "gone_month"):
            highest = self._db.execute(self._tx, f"SELECT max(version) FROM {table}")[0][0] or 0
            self._result.compare("", f"highest version of {table}", highest, min(highest, last))

    def _references(self) -> Iterator[None]:
        """Nothing points to what is not there."""
        for table, columns in _NAMES_SOMETHING.items():
            for column, other, key in columns:
                dangling = self._db.execute(
                    self._tx,
                    f"SELECT t.{column}, count(*) FROM {table} t WHERE t.{column} IS NOT NULL AND NOT EXISTS "
                    f"(SELECT 1 FROM {other} o WHERE o.{key} = t.{column}) GROUP BY t.{column} LIMIT 100",
                )
                for value, rows in dangling:
                    self._result.compare("", f"{column} of {table}", f"{value} in {rows} rows, not in {other}", "there")
                yield None

    def _learn_links(self) -> None:
        """What the commands that count say: whom identities stand for, and which pairs are parted. As many as there are commands."""
        rows = self._db.execute(
            self._tx,
            "SELECT one_id, other_id, action FROM command WHERE action IN ('link', 'unlink') AND other_id IS NOT NULL ORDER BY at_us, id",
        )
        decided = newest((row[0], row[1], row[2] == "link") for row in rows)
        self._parted = {pair for pair, is_link in decided.items() if not is_link}
        linked = [pair for pair, is_link in decided.items() if is_link]
        known = {one.id: one for one in self._names.read_ids(self._tx, {identity for pair in linked for identity in pair})}
        with self._result.reading("", "links"):
            for members in classes((), linked):
                root = representative(known[member] for member in members)
                self._stands_for.update({member: root for member in members if member != root.id})

    def _identities(self) -> Iterator[None]:
        """With how many customers a handle was seen – of a shared one only that it is –, and what links make of it."""
        self._learn_links()
        are_parted = {identity for pair in self._parted for identity in pair}
        for page in pages(self._db, self._tx, IDENTITY, ("customers", "customer_id", "stands_for", "is_parted")):
            counted = self._names.counted(self._tx, {row[0] for row in page})
            for id, customers, customer, stands_for, is_parted in page:
                n, least = counted.get(id, (0, None)) if id not in self._stands_for else (0, None)
                found = (min(customers, self._limit + 1), customer)
                right = (min(n, self._limit + 1), least if n == 1 else None)
                self._result.compare("", f"customers of identity {id}", found, right)
                root = self._stands_for.get(id)
                links = (None if root is None else root.id, id in are_parted)
                self._result.compare("", f"identity {id}: stands for, is parted", (stands_for, bool(is_parted)), links)
            yield None

    def _sets(self) -> Iterator[None]:
        """The members of sets are in `membership`, and what they stand for in their other columns and in `standing`."""
        counts = {"membership": 0, "standing": 0}
        for page in pages(self._db, self._tx, IDENTITY_SET, ()):
            for table, pairs in zip(counts, self._set_page([row[0] for row in page]), strict=True):
                counts[table] += len(pairs)
                for pair in sorted(pairs - self._there(table, pairs)):
                    self._result.compare("", f"{table} of identity {pair[0]} in set {pair[1]}", "missing", "there")
            yield None
        for table, right in counts.items():
            found = self._db.execute(self._tx, f"SELECT count(*) FROM {table}")[0][0]
            self._result.compare("", f"rows of {table}", found, right)

    def _set_page(self, ids: Sequence[int]) -> tuple[Pairs, Pairs]:
        """Compare these sets; returns the (identity, set) pairs of their handles as sent, and of those only by links."""
        sent, standing = Pairs(), Pairs()
        for id in ids:
            with self._result.reading("", f"identity set {id}"):
                (one,) = self._names.sets(self._tx, [id])
                known = {row.id: row for row in self._names.read_ids(self._tx, one.as_sent)}
                given = [known[member] for member in one.as_sent]
                right = form(given, self._stands_for, self._parted)
                self._result.compare("", f"identity set {id}", Form(one.members, one.customer, one.parted), right)
                handles = one.as_sent[1:] if is_customer(given[0].name) else one.as_sent
                sent |= {(member, id) for member in handles}
                standing |= {(member, id) for member in right.members if member not in one.as_sent and member != right.customer}
        return sent, standing

    def _there(self, table: str, pairs: Pairs) -> Pairs:
        keys = Keys({"member": "bigint", "of_set": "bigint"}, sorted(pairs))
        rows = self._db.execute(
            self._tx,
            f"SELECT m.identity_id, m.set_id FROM {{k}} JOIN {table} m ON m.identity_id = k.member AND m.set_id = k.of_set",
            k=keys,
        )
        return {(row[0], row[1]) for row in rows}

    def _journeys(self) -> Iterator[None]:
        """A journey's id is made from its person's id and its first touchpoint, also when it is gone."""
        for page in pages(self._db, self._tx, JOURNEY, ("root_id", "first_source", "first_id")):
            people = person_ids(self._db, self._tx, {row[1] for row in page})
            for id, root, source, first in page:
                person_id = people.get(root, "")
                with self._result.reading(person_id, f"journey {id}"):
                    self._result.compare(person_id, f"id of journey {id}", id, str(uuid5(UUID(person_id), f"{source}/{first}")))
            yield None

    def _unpublished(self) -> Iterator[None]:
        for page in pages(self._db, self._tx, UNPUBLISHED, ("version",)):
            people = person_ids(self._db, self._tx, {row[1] for row in page})
            keys = Keys({"root": "bigint", "month": "bigint"}, [(row[1], row[2]) for row in page])
            stored = self._db.execute(
                self._tx,
                "SELECT m.root_id, m.month, m.version FROM {k} JOIN month m ON m.root_id = k.root AND m.month = k.month",
                k=keys,
            )
            versions = {(row[0], row[1]): row[2] for row in stored}
            for partition, root, month, version in page:
                person_id = people.get(root, "")
                key = month_key(person_id, month_text(month))
                what = f"unpublished {month_text(month)}"
                if self._partitions is not None:
                    self._result.compare(person_id, f"{what}: partition", partition, partition_of(key, self._partitions))
                newest = versions.get((root, month), version)  # above it, if only what is not published changed since
                self._result.compare(person_id, f"{what}: version", version, min(version, newest))
            yield None
