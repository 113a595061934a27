"""Touchpoints as stored: each once under (anchor, source, id), owned by the root identity that it resolves to."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.journey.domain.derive import Derived
from services.journey.domain.mentions import mentions_in
from services.journey.store.tables import MENTION, TOUCHPOINT
from services.shared.db import Database, Keys

NOBODY_YET = 0
"""Owner of a touchpoint between being stored and being resolved, inside one transaction."""
Reference = tuple[str, str, int]
"""(source, id, anchor's identity): what a touchpoint is stored under."""
_COLUMNS = (
    "source", "id", "anchor_id", "set_id", "owner_id", "time_us", "original_us", "received_us", "case_rank", "has_copies",
    "without_device", "body",
)  # fmt: skip
_SPAN = {"owner": "bigint", "from_us": "bigint", "to_us": "bigint"}
_REFERENCE = {"source": "text", "id": "text", "anchor": "bigint"}


class Incoming(NamedTuple):
    """A touchpoint on its way into the store: what it says, and its bytes."""

    derived: Derived
    body: bytes


class New(NamedTuple):
    """A touchpoint to store: with its anchor and its set of identities, its owner, and whether other copies exist."""

    incoming: Incoming
    anchor: int
    set_id: int
    owner: int
    has_copies: bool

    @property
    def reference(self) -> Reference:
        return self.incoming.derived.source, self.incoming.derived.id, self.anchor


class Kept(NamedTuple):
    """A stored touchpoint, but for its body."""

    source: str
    id: str
    anchor: int
    set_id: int
    owner: int
    time_us: int
    received_us: int

    @property
    def reference(self) -> Reference:
        return self.source, self.id, self.anchor


class Span(NamedTuple):
    """The touchpoints of one owner from `from_us` up to but not including `to_us`."""

    owner: int
    from_us: int
    to_us: int


class Stored(NamedTuple):
    """What is stored of a touchpoint: as it travelled, and its time as it was put right by its clock."""

    body: bytes
    original_us: int


class OfOthers(NamedTuple):
    """Somebody else's touchpoint on a person's orders and cases; `amends` are those that it has an effect on."""

    body: bytes
    original_us: int
    amends: set[str]


class Copies:
    """Which of the copies of touchpoints count, given all of them, the one that takes precedence first, with owners and things.

    A touchpoint happens once: for each owner one copy counts; and an order or case of a person is amended by no copy of a touchpoint
    that the person has as well, else by one of the copies about it.
    """

    def __init__(self, ranked: Sequence[tuple[Reference, int, frozenset[str]]]) -> None:
        self._counted: dict[tuple[str, str, int], Reference] = {}
        self._amending: dict[tuple[str, str, str], Reference] = {}
        for reference, owner, things in ranked:
            source, id, _ = reference
            if self._counted.setdefault((source, id, owner), reference) == reference:
                for thing in things:
                    self._amending.setdefault((source, id, thing), reference)
        self._counting = frozenset(self._counted.values())

    def is_counted(self, reference: Reference) -> bool:
        return reference in self._counting

    def amends(self, person: int, thing: str, reference: Reference) -> bool:
        source, id, _ = reference
        return (source, id, person) not in self._counted and self._amending[source, id, thing] == reference


def precedence(received_us: int, body: bytes) -> tuple[int, bytes]:
    """Of several copies of a touchpoint the one where this is least counts."""
    return received_us, hashlib.sha256(body).digest()


class Touchpoints:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def copies(self, tx: Connection, ids: Iterable[tuple[str, str]]) -> list[Kept]:
        """All stored touchpoints with these (source, id)."""
        rows = self._db.execute(
            tx,
            "SELECT p.source, p.id, p.anchor_id, p.set_id, p.owner_id, p.time_us, p.received_us FROM {k} "
            "JOIN touchpoint p ON p.source = k.source AND p.id = k.id",
            k=Keys({"source": "text", "id": "text"}, sorted(ids)),
        )
        return [Kept(*row) for row in rows]

    def bodies(self, tx: Connection, references: Collection[Reference]) -> dict[Reference, bytes]:
        rows = self._db.execute(
            tx,
            "SELECT p.source, p.id, p.anchor_id, p.body FROM {k} "
            "JOIN touchpoint p ON p.source = k.source AND p.id = k.id AND p.anchor_id = k.anchor",
            k=Keys(_REFERENCE, list(references)),
        )
        return {(row[0], row[1], row[2]): bytes(row[3]) for row in rows}

    def append(self, tx: Connection, new: Sequence[New]) -> None:
        """Store touchpoints that are not there yet."""
        self._db.append(
            tx,
            TOUCHPOINT,
            _COLUMNS,
            [
                (
                    d.source, d.id, one.anchor, one.set_id, one.owner, d.time_us, d.original_us, d.received_us, d.case_rank,
                    one.has_copies, d.device is None, one.incoming.body,
                )
                for one in new
                for d in (one.incoming.derived,)
            ],
        )  # fmt: skip
        mentions = [(*one.reference, kind, name) for one in new for kind, name in mentions_in(one.incoming.derived)]
        self._db.insert(tx, MENTION, ("source", "id", "anchor_id", "kind", "name"), mentions)

    def remove(self, tx: Connection, references: Collection[Reference]) -> None:
        keys = Keys({"source": "text", "id": "text", "anchor_id": "bigint"}, list(references))
        self._db.delete(tx, TOUCHPOINT, keys)
        self._db.delete(tx, MENTION, keys)

    def of_owner(self, tx: Connection, owner: int, until_us: int) -> list[Kept]:
        """All touchpoints of one owner up to a time, it included."""
        rows = self._db.execute(
            tx,
            "SELECT source, id, anchor_id, set_id, owner_id, time_us, received_us FROM touchpoint "
            "WHERE owner_id = :owner AND time_us <= :until_us",
            {"owner": owner, "until_us": until_us},
        )
        return [Kept(*row) for row in rows]

    def retime(self, tx: Connection, now: Sequence[Derived], references: Sequence[Reference]) -> None:
        """Give stored touchpoints the times that they have now."""
        rows = [(*reference, one.time_us, one.original_us) for one, reference in zip(now, references, strict=True)]
        self._db.execute(
            tx,
            "UPDATE touchpoint SET time_us = k.time_us, original_us = k.original_us FROM {k} "
            "WHERE touchpoint.source = k.source AND touchpoint.id = k.id AND touchpoint.anchor_id = k.anchor",
            k=Keys({**_REFERENCE, "time_us": "bigint", "original_us": "bigint"}, rows),
        )

    def first_us(self, tx: Connection, sets: Collection[int]) -> dict[int, int]:
        """The time of the first touchpoint of each set that has one."""
        rows = self._db.execute(
            tx,
            "SELECT k.id, (SELECT min(p.time_us) FROM touchpoint p WHERE p.set_id = k.id) FROM {k}",
            k=Keys.ids(sorted(sets)),
        )
        return {row[0]: row[1] for row in rows if row[1] is not None}

    def mentions_of(self, tx: Connection, names: Collection[str]) -> list[tuple[str, str, str]]:
        """(source, id, kind) of the touchpoints that name somebody of these names who is not their person."""
        rows = self._db.execute(
            tx,
            "SELECT DISTINCT m.source, m.id, m.kind FROM {k} JOIN mention m ON m.name = k.name ORDER BY m.source, m.id, m.kind",
            k=Keys({"name": "text"}, [(name,) for name in sorted(names)]),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def mark_copies(self, tx: Connection, ids: Collection[tuple[str, str]]) -> None:
        """Note that a (source, id) came under more than one anchor."""
        self._db.execute(
            tx,
            "UPDATE touchpoint SET has_copies = true FROM {k} WHERE touchpoint.source = k.source AND touchpoint.id = k.id",
            k=Keys({"source": "text", "id": "text"}, sorted(ids)),
        )

    def in_sets(self, tx: Connection, sets: Collection[int], from_us: int, to_us: int) -> list[Kept]:
        """The touchpoints of some sets of identities from `from_us` to `to_us`."""
        rows = self._db.execute(
            tx,
            "SELECT source, id, anchor_id, set_id, owner_id, time_us, received_us FROM touchpoint "
            "WHERE set_id IN (SELECT k.id FROM {k}) AND time_us BETWEEN :from_us AND :to_us",
            {"from_us": from_us, "to_us": to_us},
            k=Keys.ids(sets),
        )
        return [Kept(*row) for row in rows]

    def own(self, tx: Connection, owners: Mapping[Reference, int]) -> None:
        """Give touchpoints to other owners."""
        self._db.execute(
            tx,
            "UPDATE touchpoint SET owner_id = k.owner FROM {k} "
            "WHERE touchpoint.source = k.source AND touchpoint.id = k.id AND touchpoint.anchor_id = k.anchor",
            k=Keys({**_REFERENCE, "owner": "bigint"}, [(*reference, owner) for reference, owner in owners.items()]),
        )

    def count(self, tx: Connection, owners: Collection[int]) -> dict[int, int]:
        """How many touchpoints each owner has, copies counted once."""
        rows = self._db.execute(
            tx,
            "SELECT p.owner_id, sum(CASE WHEN p.has_copies THEN 0 ELSE 1 END) "
            "+ count(DISTINCT CASE WHEN p.has_copies THEN length(p.source) || ' ' || p.source || p.id END) "
            "FROM {k} JOIN touchpoint p ON p.owner_id = k.id GROUP BY p.owner_id",
            k=Keys.ids(owners),
        )
        return {row[0]: int(row[1]) for row in rows}

    def of_owners(self, tx: Connection, spans: Sequence[Span]) -> dict[int, list[Stored]]:
        """People's touchpoints, each within its span, one copy of each, in no order; by owner.

        Where copies exist, also outside of the span, the one that takes precedence decides whether it is in the span.
        """
        rows = self._db.execute(
            tx,
            "SELECT p.owner_id, p.source, p.id, p.has_copies, p.body, p.original_us FROM {k} "
            "JOIN touchpoint p ON p.owner_id = k.owner AND p.time_us >= k.from_us AND p.time_us < k.to_us",
            k=Keys(_SPAN, list(spans)),
        )
        found: dict[int, list[Stored]] = {}
        copied: dict[int, set[tuple[str, str]]] = {}
        for owner, source, id, has_copies, body, original_us in rows:
            if has_copies:
                copied.setdefault(owner, set()).add((source, id))
            else:
                found.setdefault(owner, []).append(Stored(bytes(body), original_us))
        for span in spans:
            if span.owner in copied:
                found.setdefault(span.owner, []).extend(self._one_of_each(tx, span, copied[span.owner]))
        return found

    def time_after(self, tx: Connection, owner: int, from_us: int, count: int) -> int | None:
        """A time from which on an owner's touchpoints come that are not among the first `count` from `from_us`; None if there are none."""
        rows = self._db.execute(
            tx,
            "SELECT p.time_us FROM touchpoint p WHERE p.owner_id = :owner AND p.time_us >= :from_us ORDER BY p.time_us LIMIT 1 OFFSET :count",
            {"owner": owner, "from_us": from_us, "count": count},
        )
        if rows and rows[0][0] == from_us:
            return from_us + 1
        return rows[0][0] if rows else None

    def of_others(self, tx: Connection, wanted: Sequence[tuple[Span, Collection[str]]]) -> dict[int, list[OfOthers]]:
        """Other people's touchpoints, within each person's spans, on the orders and cases (as identities) given; by person, in no order.

        Of somebody's copies of one touchpoint only the one that counts there.
        """
        rows = self._db.execute(
            tx,
            "SELECT k.owner, k.thing, p.source, p.id, p.anchor_id, p.has_copies, p.body, p.original_us FROM {k} "
            "JOIN identity i ON i.name = k.thing JOIN membership m ON m.identity_id = i.id JOIN touchpoint p ON p.set_id = m.set_id "
            "WHERE p.owner_id <> k.owner AND p.time_us >= k.from_us AND p.time_us < k.to_us",
            k=Keys({**_SPAN, "thing": "text"}, [(*span, thing) for span, things in wanted for thing in things]),
        )
        copied = {(row[2], row[3]) for row in rows if row[5]}
        copies = Copies(self._copies_about(tx, copied, {row[1] for row in rows if row[5]})) if copied else None
        found: dict[tuple[int, Reference], OfOthers] = {}
        for person, thing, source, id, anchor, has_copies, body, original_us in rows:
            reference = (source, id, anchor)
            if has_copies and copies is not None and not copies.is_counted(reference):
                continue
            one = found.setdefault((person, reference), OfOthers(bytes(body), original_us, set()))
            if not has_copies or copies is None or copies.amends(person, thing, reference):
                one.amends.add(thing)
        of_others: dict[int, list[OfOthers]] = {}
        for (person, _), one in found.items():
            of_others.setdefault(person, []).append(one)
        return of_others

    def _copies_about(
        self, tx: Connection, ids: Collection[tuple[str, str]], things: Collection[str]
    ) -> list[tuple[Reference, int, frozenset[str]]]:
        """All copies of these (source, id), the one that takes precedence first: with its owner, and which of the things it is about."""
        rows = self._db.execute(
            tx,
            "SELECT p.source, p.id, p.anchor_id, p.owner_id, p.received_us, p.body, i.name FROM {k} "
            "JOIN touchpoint p ON p.source = k.source AND p.id = k.id LEFT JOIN membership m ON m.set_id = p.set_id "
            "LEFT JOIN identity i ON i.id = m.identity_id",
            k=Keys({"source": "text", "id": "text"}, sorted(ids)),
        )
        about: dict[Reference, set[str]] = {}
        for row in rows:
            about.setdefault((row[0], row[1], row[2]), set()).update({row[6]} & set(things))
        ranked = {(row[0], row[1], row[2]): (precedence(row[4], bytes(row[5])), row[3]) for row in rows}
        return [
            (reference, owner, frozenset(about[reference]))
            for reference, (_, owner) in sorted(ranked.items(), key=lambda entry: entry[1][0])
        ]

    def owners_of_things(self, tx: Connection, handles: Collection[int]) -> dict[int, tuple[set[int], int]]:
        """For orders and cases (by identity): the owners of the touchpoints about them, and the time of the first of these."""
        rows = self._db.execute(
            tx,
            "SELECT k.id, p.owner_id, min(p.time_us) FROM {k} JOIN membership m ON m.identity_id = k.id "
            "JOIN touchpoint p ON p.set_id = m.set_id GROUP BY k.id, p.owner_id",
            k=Keys.ids(handles),
        )
        found: dict[int, tuple[set[int], int]] = {}
        for handle, owner, first_us in rows:
            owners, earliest_us = found.get(handle, (set(), first_us))
            found[handle] = (owners | {owner}, min(earliest_us, first_us))
        return found

    def _one_of_each(self, tx: Connection, span: Span, ids: Collection[tuple[str, str]]) -> list[Stored]:
        rows = self._db.execute(
            tx,
            "SELECT p.source, p.id, p.received_us, p.time_us, p.original_us, p.body FROM {k} "
            "JOIN touchpoint p ON p.source = k.source AND p.id = k.id WHERE p.owner_id = :owner",
            {"owner": span.owner},
            k=Keys({"source": "text", "id": "text"}, sorted(ids)),
        )
        least: dict[tuple[str, str], tuple[tuple[int, bytes], int, Stored]] = {}
        for source, id, received_us, time_us, original_us, body in rows:
            copy = (precedence(received_us, bytes(body)), time_us, Stored(bytes(body), original_us))
            least[source, id] = min(least.get((source, id), copy), copy)
        return [stored for _, time_us, stored in least.values() if span.from_us <= time_us < span.to_us]
