"""Identities and the sets they were seen in: made, locked, counted; and sightings, the touchpoints that decide who owned a handle when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from services.journey.domain.identity import Identity, IdentitySet, Sighting
from services.journey.domain.links import Form
from services.journey.store.tables import IDENTITY_SET, MEMBERSHIP, STANDING
from services.shared.db import Database, Keys

Members = tuple[int, ...]
BEGINNING_US, END_US = -(2**62), 2**62
Forms = Callable[[Collection[Members]], Mapping[Members, Form]]
"""Gives sets of identities, as they were sent, the form that they stand in."""
_IDENTITY = "i.id, i.name, i.customers, i.customer_id, i.stands_for, i.is_parted, i.erased_us, i.wiped_us, i.has_ghosts"
_SET = "s.id, s.members, s.customer_id, s.standing, s.parted, s.has_ghosts"
_COUNTED = (
    "SELECT o.id, count(DISTINCT s.customer_id) AS n, min(s.customer_id) AS least FROM ("
    "SELECT k.id, m.set_id FROM {k} LEFT JOIN membership m ON m.identity_id = k.id "
    "UNION ALL SELECT k.id, t.set_id FROM {k} JOIN standing t ON t.identity_id = k.id"
    ") AS o LEFT JOIN identity_set s ON s.id = o.set_id "
    "AND (s.parted IS NULL OR ' ' || s.parted || ' ' NOT LIKE '% ' || s.customer_id || '-' || o.id || ' %') GROUP BY o.id"
)
_TOUCHPOINTS = (
    "touchpoint",
    "SELECT p.time_us, p.original_us, p.case_rank, p.source, p.id, a.name, p.set_id FROM touchpoint p "
    "JOIN identity a ON a.id = p.anchor_id",
)
_GHOSTS = ("ghost", "SELECT p.time_us, p.original_us, p.case_rank, p.key, p.set_id FROM ghost p")


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
            f"SELECT {_IDENTITY} FROM {{k}} JOIN identity i ON i.name = k.name ORDER BY i.name {self._of_identity}",
            k=_names(names),
        )
        return [Identity(*row) for row in rows]

    def lock_ids(self, tx: Connection, ids: Collection[int]) -> list[Identity]:
        """The same by id."""
        rows = self._db.execute(
            tx,
            f"SELECT {_IDENTITY} FROM {{k}} JOIN identity i ON i.id = k.id ORDER BY i.name {self._of_identity}",
            k=Keys.ids(ids),
        )
        return [Identity(*row) for row in rows]

    def read(self, tx: Connection, names: Collection[str]) -> list[Identity]:
        """Identities by name, without a lock; those that are not known are missing."""
        rows = self._db.execute(tx, f"SELECT {_IDENTITY} FROM {{k}} JOIN identity i ON i.name = k.name", k=_names(names))
        return [Identity(*row) for row in rows]

    def read_ids(self, tx: Connection, ids: Collection[int]) -> list[Identity]:
        rows = self._db.execute(tx, f"SELECT {_IDENTITY} FROM {{k}} JOIN identity i ON i.id = k.id", k=Keys.ids(ids))
        return [Identity(*row) for row in rows]

    def linked_to(self, tx: Connection, identities: Collection[int]) -> list[Identity]:
        """All that stand for one of these, but for themselves."""
        rows = self._db.execute(
            tx, f"SELECT {_IDENTITY} FROM {{k}} JOIN identity i ON i.stands_for = k.id", k=Keys.ids(identities)
        )
        return [Identity(*row) for row in rows]

    def sets_of(self, tx: Connection, handles: Collection[int]) -> list[IdentitySet]:
        """All sets that any of these handles is in, as sent or by links."""
        rows = self._db.execute(
            tx,
            f"SELECT {_SET} FROM (SELECT m.set_id FROM {{k}} JOIN membership m ON m.identity_id = k.id UNION "
            "SELECT t.set_id FROM {k} JOIN standing t ON t.identity_id = k.id) AS o JOIN identity_set s ON s.id = o.set_id",
            k=Keys.ids(handles),
        )
        return [_set(*row) for row in rows]

    def sets_of_customer(self, tx: Connection, customer: int) -> list[IdentitySet]:
        """All sets that a customer is in."""
        rows = self._db.execute(tx, f"SELECT {_SET} FROM identity_set s WHERE s.customer_id = :customer", {"customer": customer})
        return [_set(*row) for row in rows]

    def sets(self, tx: Connection, ids: Collection[int]) -> list[IdentitySet]:
        """Sets by id."""
        rows = self._db.execute(tx, f"SELECT {_SET} FROM {{k}} JOIN identity_set s ON s.id = k.id", k=Keys.ids(ids))
        return [_set(*row) for row in rows]

    def intern(
        self, tx: Connection, wanted: Mapping[Members, bool], forms: Forms
    ) -> tuple[dict[Members, IdentitySet], list[IdentitySet]]:
        """The sets of these members as sent (True: the first is a customer), made where they are missing; and those that were."""
        texts = {_text(members): members for members in wanted}
        found = self._find(tx, texts)
        missing = {text: members for text, members in texts.items() if members not in found}
        if not missing:
            return found, []
        standing = forms(missing.values())
        self._db.execute(
            tx,
            "INSERT INTO identity_set (members, customer_id, standing, parted) "
            "SELECT k.members, k.customer, k.standing, k.parted FROM {k} WHERE true ON CONFLICT DO NOTHING",
            k=Keys(
                {"members": "text", "customer": "bigint", "standing": "text", "parted": "text"},
                [(text, *_columns(members, standing[members])) for text, members in missing.items()],
            ),
        )
        made = self._find(tx, missing)
        memberships = [(one, its.id) for members, its in made.items() for one in members[1 if wanted[members] else 0 :]]
        self._db.insert(tx, MEMBERSHIP, ("identity_id", "set_id"), memberships, "ON CONFLICT DO NOTHING")
        self._db.insert(tx, STANDING, ("identity_id", "set_id"), _only_standing(made.values()), "ON CONFLICT DO NOTHING")
        return {**found, **made}, list(made.values())

    def reform(self, tx: Connection, sets: Sequence[IdentitySet], forms: Mapping[int, Form]) -> list[IdentitySet]:
        """Give these sets the forms that they stand in now, by set; returns them as they are then."""
        new = [_formed(one.id, one.as_sent, forms[one.id])._replace(has_ghosts=one.has_ghosts) for one in sets]
        self._db.execute(
            tx,
            "UPDATE identity_set SET customer_id = k.customer, standing = k.standing, parted = k.parted FROM {k} "
            "WHERE identity_set.id = k.id",
            k=Keys(
                {"id": "bigint", "customer": "bigint", "standing": "text", "parted": "text"},
                [(one.id, *_columns(one.as_sent, forms[one.id])) for one in sets],
            ),
        )
        self._db.delete(tx, STANDING, Keys({"identity_id": "bigint", "set_id": "bigint"}, _only_standing(sets)))
        self._db.insert(tx, STANDING, ("identity_id", "set_id"), _only_standing(new))
        return new

    def link(self, tx: Connection, stands_for: Mapping[int, int | None]) -> None:
        """These stand for others now, None for themselves. Those that stand for themselves again have to be counted again."""
        self._db.execute(
            tx,
            "UPDATE identity SET stands_for = k.other, customers = 0, customer_id = NULL FROM {k} WHERE identity.id = k.id",
            k=Keys({"id": "bigint", "other": "bigint"}, list(stands_for.items())),
        )

    def part(self, tx: Connection, is_parted: Mapping[int, bool]) -> None:
        """Whether an unlink that counts names these."""
        self._db.execute(
            tx,
            "UPDATE identity SET is_parted = (k.flag = 1) FROM {k} WHERE identity.id = k.id",
            k=Keys({"id": "bigint", "flag": "bigint"}, [(id, int(flag)) for id, flag in is_parted.items()]),
        )

    def sets_as_sent(self, tx: Connection, identities: Mapping[int, int | None]) -> list[IdentitySet]:
        """All sets that were sent with any of these: handles (None), or customers with the customer that they stand for."""
        rows = self._db.execute(
            tx,
            f"SELECT {_SET} FROM {{k}} JOIN membership m ON m.identity_id = k.id JOIN identity_set s ON s.id = m.set_id "
            f"UNION SELECT {_SET} FROM {{k}} JOIN identity_set s ON s.customer_id = k.customer",
            k=Keys({"id": "bigint", "customer": "bigint"}, list(identities.items())),
        )
        sets = [_set(*row) for row in rows]
        return [one for one in sets if any(member in identities for member in one.as_sent)]

    def sets_with_both(self, tx: Connection, pairs: Collection[tuple[int, int, int | None]]) -> list[IdentitySet]:
        """All sets that were sent with a handle and another: (handle, other, None), or (handle, customer, whom that stands for)."""
        rows = self._db.execute(
            tx,
            f"SELECT {_SET}, k.other FROM {{k}} JOIN membership m ON m.identity_id = k.handle "
            "JOIN membership n ON n.identity_id = k.other AND n.set_id = m.set_id JOIN identity_set s ON s.id = m.set_id "
            f"UNION SELECT {_SET}, k.other FROM {{k}} JOIN membership m ON m.identity_id = k.handle "
            "JOIN identity_set s ON s.id = m.set_id AND s.customer_id = k.customer",
            k=Keys({"handle": "bigint", "other": "bigint", "customer": "bigint"}, list(pairs)),
        )
        return [one for one, other in ((_set(*row[:6]), row[6]) for row in rows) if other in one.as_sent]

    def recount(self, tx: Connection, handles: Collection[int]) -> list[Identity]:
        """Count again with how many customers these handles were seen; returns them as they are now."""
        self._db.execute(
            tx,
            "UPDATE identity SET customers = c.n, customer_id = CASE WHEN c.n = 1 THEN c.least END FROM ("
            + _COUNTED
            + ") AS c WHERE identity.id = c.id",
            k=Keys.ids(handles),
        )
        return self.read_ids(tx, handles)

    def counted(self, tx: Connection, handles: Collection[int]) -> dict[int, tuple[int, int | None]]:
        """With how many customers these handles were seen, and the least of them, counted from the sets."""
        rows = self._db.execute(tx, _COUNTED, k=Keys.ids(handles))
        return {row[0]: (row[1], row[2]) for row in rows}

    def drop_unused_sets(self, tx: Connection, sets: Collection[int]) -> list[int]:
        """Forget those of these sets in which no touchpoint is left; returns their ids."""
        rows = self._db.execute(
            tx,
            "SELECT k.id FROM {k} WHERE NOT EXISTS (SELECT 1 FROM touchpoint p WHERE p.set_id = k.id) "
            "AND NOT EXISTS (SELECT 1 FROM ghost g WHERE g.set_id = k.id)",
            k=Keys.ids(sets),
        )
        unused = [row[0] for row in rows]
        if unused:
            dropped = self.sets(tx, unused)
            keys = {"identity_id": "bigint", "set_id": "bigint"}
            self._db.delete(tx, MEMBERSHIP, Keys(keys, [(member, one.id) for one in dropped for member in one.as_sent]))
            self._db.delete(tx, STANDING, Keys(keys, _only_standing(dropped)))
            self._db.delete(tx, IDENTITY_SET, Keys.ids(unused))
        return unused

    def sightings(
        self, tx: Connection, sets: Collection[int], from_us: int, to_us: int, haunted: Collection[int] = ()
    ) -> list[Sighting]:
        """The sightings in these sets from `from_us` to `to_us`, with the last before and the first after, in order; of the `haunted`
        ones, the ghosts too."""
        found = [Sighting(*row) for row in self._sightings(tx, _TOUCHPOINTS, sets, from_us, to_us)]
        if haunted:
            ghosts = self._sightings(tx, _GHOSTS, haunted, from_us, to_us)
            found += [Sighting(row[0], row[1], row[2], row[3], "", "", row[4], True) for row in ghosts]
        return sorted(found)

    def _sightings(
        self, tx: Connection, of: tuple[str, str], sets: Collection[int], from_us: int, to_us: int
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        table, select = of
        bounds = self._db.execute(
            tx,
            f"SELECT max((SELECT max(p.time_us) FROM {table} p WHERE p.set_id = k.id AND p.time_us < :from_us)), "
            f"min((SELECT min(p.time_us) FROM {table} p WHERE p.set_id = k.id AND p.time_us > :to_us)) FROM {{k}}",
            {"from_us": from_us, "to_us": to_us},
            k=Keys.ids(sets),
        )
        before, after = bounds[0]
        return self._db.execute(
            tx,
            f"{select} WHERE p.set_id IN (SELECT k.id FROM {{k}}) AND p.time_us BETWEEN :from_us AND :to_us",
            {"from_us": from_us if before is None else before, "to_us": to_us if after is None else after},
            k=Keys.ids(sets),
        )

    def unmake(self, tx: Connection, names: Collection[str]) -> None:
        """Take identities away that were just made."""
        self._db.execute(tx, "DELETE FROM identity WHERE name IN (SELECT k.name FROM {k})", k=_names(names))

    def rename(self, tx: Connection, names: Mapping[int, str]) -> None:
        self._db.execute(
            tx,
            "UPDATE identity SET name = k.name FROM {k} WHERE identity.id = k.id",
            k=Keys({"id": "bigint", "name": "text"}, sorted(names.items())),
        )

    def haunt(self, tx: Connection, identities: Collection[int]) -> None:
        """These are in sets with ghosts."""
        self._db.execute(tx, "UPDATE identity SET has_ghosts = true FROM {k} WHERE identity.id = k.id", k=Keys.ids(identities))

    def mark(self, tx: Connection, untils: Mapping[int, int], wiped: bool) -> None:
        """These are erased (and wiped) up to these times at least."""
        columns = ("erased_us", "wiped_us") if wiped else ("erased_us",)
        later = ", ".join(f"{name} = CASE WHEN {name} > k.until THEN {name} ELSE k.until END" for name in columns)
        self._db.execute(
            tx,
            f"UPDATE identity SET {later} FROM {{k}} WHERE identity.id = k.id",
            k=Keys({"id": "bigint", "until": "bigint"}, sorted(untils.items())),
        )

    @property
    def _of_identity(self) -> str:
        return f"{self._db.for_update} OF i" if self._db.for_update else ""

    def _find(self, tx: Connection, texts: Iterable[str]) -> dict[Members, IdentitySet]:
        """Sets by their members as sent."""
        rows = self._db.execute(
            tx,
            f"SELECT {_SET} FROM {{k}} JOIN identity_set s ON s.members = k.members",
            k=Keys({"members": "text"}, [(text,) for text in texts]),
        )
        return {one.as_sent: one for one in (_set(*row) for row in rows)}


def _set(id: int, members: str, customer: int | None, standing: str | None, parted: str | None, has_ghosts: bool) -> IdentitySet:
    sent = _members(members)
    if standing is None and parted is None:
        return IdentitySet(id, sent, customer, has_ghosts=bool(has_ghosts))
    pairs = [part.split("-") for part in parted.split()] if parted is not None else []
    now = sent if standing is None else _members(standing)
    apart = frozenset((int(one), int(other)) for one, other in pairs)
    return IdentitySet(id, now, customer, apart, () if standing is None else sent, bool(has_ghosts))


def _formed(id: int, sent: Members, form: Form) -> IdentitySet:
    return IdentitySet(id, form.members, form.customer, form.parted, () if form.members == sent else sent)


def _columns(sent: Members, form: Form) -> tuple[int | None, str | None, str | None]:
    """The columns customer_id, standing and parted of a set."""
    standing = None if form.members == sent else _text(form.members)
    return form.customer, standing, " ".join(f"{one}-{other}" for one, other in sorted(form.parted)) or None


def _only_standing(sets: Iterable[IdentitySet]) -> list[tuple[int, int]]:
    """(handle, set) for the handles that are in a set by links only."""
    return [(one, its.id) for its in sets if its.sent for one in its.members if one not in its.sent and one != its.customer]


def _members(text: str) -> Members:
    return tuple(map(int, text.split()))


def _text(members: Members) -> str:
    return " ".join(map(str, members))


def _names(names: Iterable[str]) -> Keys:
    return Keys({"name": "text"}, [(name,) for name in sorted(names)])
