"""Identities and the sets they were seen in: made, locked, counted; and sightings, the touchpoints that decide who owned a handle when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection

from services.journey.domain.identity import Identity, IdentitySet, Sighting
from services.journey.store.tables import IDENTITY_SET, MEMBERSHIP
from services.shared.db import Database, Keys

Members = tuple[int, ...]
BEGINNING_US, END_US = -(2**62), 2**62
_SIGHTING = "p.time_us, p.original_us, p.case_rank, p.source, p.id, a.name, p.set_id"


class Identities:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def make(self, tx: Connection, names: Collection[str]) -> set[str]:
        """Insert the identities that are missing, in byte order; returns their names."""
        rows = self._db.execute(
            tx,
            "INSERT INTO identity (name) SELECT k.name FROM {k} WHERE true ON CONFLICT DO NOTHING RETURNING name",
            k=_names(names),
        )
        return {row[0] for row in rows}

    def lock(self, tx: Connection, names: Collection[str]) -> list[Identity]:
        """Lock identities in byte order, and read them as they are once all are locked."""
        rows = self._db.execute(
            tx,
            "SELECT identity.id, identity.name, identity.customers, identity.customer_id FROM {k} "
            f"JOIN identity ON identity.name = k.name ORDER BY identity.name {self._of_identity}",
            k=_names(names),
        )
        return [Identity(*row) for row in rows]

    def lock_ids(self, tx: Connection, ids: Collection[int]) -> list[Identity]:
        """The same by id."""
        rows = self._db.execute(
            tx,
            "SELECT identity.id, identity.name, identity.customers, identity.customer_id FROM {k} "
            f"JOIN identity ON identity.id = k.id ORDER BY identity.name {self._of_identity}",
            k=_ids(ids),
        )
        return [Identity(*row) for row in rows]

    def read(self, tx: Connection, names: Collection[str]) -> list[Identity]:
        """Identities by name, without a lock; those that are not known are missing."""
        rows = self._db.execute(
            tx, "SELECT i.id, i.name, i.customers, i.customer_id FROM {k} JOIN identity i ON i.name = k.name", k=_names(names)
        )
        return [Identity(*row) for row in rows]

    def read_ids(self, tx: Connection, ids: Collection[int]) -> list[Identity]:
        rows = self._db.execute(
            tx, "SELECT i.id, i.name, i.customers, i.customer_id FROM {k} JOIN identity i ON i.id = k.id", k=_ids(ids)
        )
        return [Identity(*row) for row in rows]

    def sets_of(self, tx: Connection, handles: Collection[int]) -> list[IdentitySet]:
        """All sets that any of these handles is in."""
        rows = self._db.execute(
            tx,
            "SELECT DISTINCT s.id, s.members, s.customer_id FROM {k} "
            "JOIN membership m ON m.identity_id = k.id JOIN identity_set s ON s.id = m.set_id",
            k=_ids(handles),
        )
        return [_set(*row) for row in rows]

    def sets_of_customer(self, tx: Connection, customer: int) -> list[IdentitySet]:
        """All sets that a customer is in."""
        rows = self._db.execute(
            tx, "SELECT id, members, customer_id FROM identity_set WHERE customer_id = :customer", {"customer": customer}
        )
        return [_set(*row) for row in rows]

    def sets(self, tx: Connection, ids: Collection[int]) -> list[IdentitySet]:
        """Sets by id."""
        rows = self._db.execute(
            tx, "SELECT s.id, s.members, s.customer_id FROM {k} JOIN identity_set s ON s.id = k.id", k=_ids(ids)
        )
        return [_set(*row) for row in rows]

    def intern(self, tx: Connection, wanted: Mapping[Members, bool]) -> tuple[dict[Members, IdentitySet], list[IdentitySet]]:
        """The sets of these members (True: the first is a customer), made where they are missing; and those that were."""
        texts = {" ".join(map(str, members)): members for members in wanted}
        found = self._find(tx, texts)
        missing = [(text, members[0] if wanted[members] else None) for text, members in texts.items() if members not in found]
        if not missing:
            return found, []
        self._db.execute(
            tx,
            "INSERT INTO identity_set (members, customer_id) SELECT k.members, k.customer FROM {k} WHERE true ON CONFLICT DO NOTHING",
            k=Keys({"members": "text", "customer": "bigint"}, missing),
        )
        made = self._find(tx, [text for text, _ in missing])
        memberships = [(member, one.id) for one in made.values() for member in one.members if member != one.customer]
        self._db.insert(tx, MEMBERSHIP, ("identity_id", "set_id"), memberships, "ON CONFLICT DO NOTHING")
        return {**found, **made}, list(made.values())

    def recount(self, tx: Connection, handles: Collection[int]) -> list[Identity]:
        """Count again with how many customers these handles were seen; returns them as they are now."""
        self._db.execute(
            tx,
            "UPDATE identity SET customers = c.n, customer_id = CASE WHEN c.n = 1 THEN c.least END FROM ("
            "SELECT k.id, count(DISTINCT s.customer_id) AS n, min(s.customer_id) AS least FROM {k} "
            "LEFT JOIN membership m ON m.identity_id = k.id LEFT JOIN identity_set s ON s.id = m.set_id GROUP BY k.id"
            ") AS c WHERE identity.id = c.id",
            k=_ids(handles),
        )
        return self.read_ids(tx, handles)

    def drop_unused_sets(self, tx: Connection, sets: Collection[int]) -> list[int]:
        """Forget those of these sets in which no touchpoint is left; returns their ids."""
        rows = self._db.execute(
            tx, "SELECT k.id FROM {k} WHERE NOT EXISTS (SELECT 1 FROM touchpoint p WHERE p.set_id = k.id)", k=_ids(sets)
        )
        unused = [row[0] for row in rows]
        if unused:
            pairs = [(member, one.id) for one in self.sets(tx, unused) for member in one.members if member != one.customer]
            self._db.delete(tx, MEMBERSHIP, Keys({"identity_id": "bigint", "set_id": "bigint"}, pairs))
            self._db.delete(tx, IDENTITY_SET, _ids(unused))
        return unused

    def sightings(self, tx: Connection, sets: Collection[int], from_us: int, to_us: int) -> list[Sighting]:
        """The sightings in these sets from `from_us` to `to_us`, with the last before and the first after, in order."""
        bounds = self._db.execute(
            tx,
            "SELECT max((SELECT max(p.time_us) FROM touchpoint p WHERE p.set_id = k.id AND p.time_us < :from_us)), "
            "min((SELECT min(p.time_us) FROM touchpoint p WHERE p.set_id = k.id AND p.time_us > :to_us)) FROM {k}",
            {"from_us": from_us, "to_us": to_us},
            k=_ids(sets),
        )
        before, after = bounds[0]
        rows = self._db.execute(
            tx,
            f"SELECT {_SIGHTING} FROM touchpoint p JOIN identity a ON a.id = p.anchor_id "
            "WHERE p.set_id IN (SELECT k.id FROM {k}) AND p.time_us BETWEEN :from_us AND :to_us",
            {"from_us": from_us if before is None else before, "to_us": to_us if after is None else after},
            k=_ids(sets),
        )
        return sorted(Sighting(*row) for row in rows)

    @property
    def _of_identity(self) -> str:
        return f"{self._db.for_update} OF identity" if self._db.for_update else ""

    def _find(self, tx: Connection, texts: Iterable[str]) -> dict[Members, IdentitySet]:
        rows = self._db.execute(
            tx,
            "SELECT s.id, s.members, s.customer_id FROM {k} JOIN identity_set s ON s.members = k.members",
            k=Keys({"members": "text"}, [(text,) for text in texts]),
        )
        return {one.members: one for one in (_set(*row) for row in rows)}


def _set(id: int, members: str, customer: int | None) -> IdentitySet:
    return IdentitySet(id, tuple(map(int, members.split())), customer)


def _names(names: Iterable[str]) -> Keys:
    return Keys({"name": "text"}, [(name,) for name in sorted(names)])


def _ids(ids: Iterable[int]) -> Keys:
    return Keys({"id": "bigint"}, [(id,) for id in ids])
