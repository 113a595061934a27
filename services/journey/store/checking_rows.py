"""Whether the rows of journey's tables fit each other: what no single person's touchpoints tell."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid5

from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from schemas.identity import is_customer
from services.journey.domain.identity import Identity
from services.journey.store.recount import Recount
from services.journey.store.tables import IDENTITY, IDENTITY_SET, JOURNEY, UNPUBLISHED
from services.shared.bus import partition_of
from services.shared.checked import Checked
from services.shared.db import Database, Keys
from services.shared.paging import pages

EPOCH_BITS = 40
_NAMES_SOMETHING = {
    "touchpoint": (("owner_id", "person", "root_id"), ("set_id", "identity_set", "id"), ("anchor_id", "identity", "id")),
    "person": (("root_id", "identity", "id"),),
    "month": (("root_id", "person", "root_id"),),
    "unpublished": (("root_id", "person", "root_id"),),
    "journey": (("root_id", "person", "root_id"),),
    "service_case": (("root_id", "person", "root_id"),),
    "membership": (("set_id", "identity_set", "id"), ("identity_id", "identity", "id")),
    "command": (("one_id", "identity", "id"), ("other_id", "identity", "id")),
}
"""{table: columns that name a row of another table}."""


class CheckingRows:
    """One check, in one snapshot. `partitions`: of the topic `journeys`, where that is known; `limit`: the most customers of a handle."""

    def __init__(self, database: Database, tx: Connection, result: Checked, partitions: int | None, limit: int) -> None:
        self._db, self._tx, self._result = database, tx, result
        self._partitions, self._limit = partitions, limit
        self._recount = Recount(database, tx, limit)

    def steps(self) -> Iterator[None]:
        """Everything, in pages."""
        self._installation()
        for check in (self._references, self._identities, self._sets, self._journeys, self._unpublished):
            yield from check()

    def last_version(self) -> int:
        """The last version that was given out, or more."""
        rows = self._db.execute(self._tx, "SELECT epoch, version FROM installation")
        if self._db.is_postgres:
            return (int(rows[0][0]) << EPOCH_BITS) + int(self._db.execute(self._tx, "SELECT last_value FROM version_seq")[0][0])
        return (int(rows[0][0]) << EPOCH_BITS) + int(rows[0][1])

    def _installation(self) -> None:
        rows = self._db.execute(self._tx, "SELECT id FROM installation")
        self._result.compare("", "installation", [row[0] for row in rows], [1])
        last = self.last_version()
        for table in ("person", "month", "unpublished"):
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

    def _identities(self) -> Iterator[None]:
        """With how many customers a handle was seen; of a shared one only that it is."""
        for page in pages(self._db, self._tx, IDENTITY, ("name", "customers", "customer_id")):
            counted = self._recount.counted({row[0] for row in page})
            for id, name, customers, customer in page:
                right = counted.get(id, Identity(id, name))
                found = (min(customers, self._limit + 1), customer)
                self._result.compare(
                    "", f"customers of identity {id}", found, (min(right.customers, self._limit + 1), right.customer)
                )
            yield None

    def _sets(self) -> Iterator[None]:
        memberships = 0
        for page in pages(self._db, self._tx, IDENTITY_SET, ("members", "customer_id")):
            pairs: set[tuple[int, int]] = set()
            for id, members, customer in page:
                with self._result.reading("", f"identity set {id}"):
                    ids = [int(member) for member in members.split()]
                    self._result.compare("", f"customer of identity set {id}", customer, self._customer(ids))
                    pairs |= {(member, id) for member in ids if member != customer}
            memberships += len(pairs)
            for pair in sorted(pairs - self._there(pairs)):
                self._result.compare("", f"membership of identity {pair[0]} in set {pair[1]}", "missing", "there")
            yield None
        found = self._db.execute(self._tx, "SELECT count(*) FROM membership")[0][0]
        self._result.compare("", "memberships", found, memberships)

    def _customer(self, members: list[int]) -> int | None:
        rows = self._db.execute(self._tx, "SELECT name FROM identity WHERE id = :id", {"id": members[0]})
        return members[0] if rows and is_customer(rows[0][0]) else None

    def _there(self, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
        keys = Keys({"member": "bigint", "of_set": "bigint"}, sorted(pairs))
        rows = self._db.execute(
            self._tx,
            "SELECT m.identity_id, m.set_id FROM {k} JOIN membership m ON m.identity_id = k.member AND m.set_id = k.of_set",
            k=keys,
        )
        return {(row[0], row[1]) for row in rows}

    def _journeys(self) -> Iterator[None]:
        """A journey's id is made from its person's id and its first touchpoint, also when it is gone."""
        for page in pages(self._db, self._tx, JOURNEY, ("root_id", "first_source", "first_id")):
            people = self._person_ids({row[1] for row in page})
            for id, root, source, first in page:
                person_id = people.get(root, "")
                with self._result.reading(person_id, f"journey {id}"):
                    self._result.compare(person_id, f"id of journey {id}", id, str(uuid5(UUID(person_id), f"{source}/{first}")))
            yield None

    def _unpublished(self) -> Iterator[None]:
        for page in pages(self._db, self._tx, UNPUBLISHED, ("version",)):
            people = self._person_ids({row[1] for row in page})
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

    def _person_ids(self, roots: set[int]) -> dict[int, str]:
        keys = Keys({"id": "bigint"}, [(root,) for root in roots])
        rows = self._db.execute(self._tx, "SELECT p.root_id, p.person_id FROM {k} JOIN person p ON p.root_id = k.id", k=keys)
        return {row[0]: row[1] for row in rows}
