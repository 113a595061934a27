"""What says who an identity is: sightings, commands and aliases, in pages, the newest first. In the caller's snapshot."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection

from services.journey.store.places import BEFORE, COLUMNS, NEWEST_FIRST, Place, given
from services.shared.db import Database, Keys

LAST_CHARACTER = chr(0x10FFFF)


class SeenTogether(NamedTuple):
    """A stored touchpoint that shows identities together."""

    place: Place
    set_id: int
    owner: int
    body: bytes


class Alias(NamedTuple):
    """A stored alias that calls a customer by another's name."""

    place: Place
    claimed: str
    body: bytes


class Evidence:
    """Reads."""

    def __init__(self, database: Database, tx: Connection) -> None:
        self._db, self._tx = database, tx

    def sightings(self, sets: Collection[int], before: Place | None, limit: int) -> list[SeenTogether]:
        """The newest touchpoints of these sets, before a place."""
        condition = f"AND {BEFORE} " if before is not None else ""
        rows = self._db.execute(
            self._tx,
            f"SELECT {COLUMNS}, p.set_id, p.owner_id, p.body FROM touchpoint p WHERE p.set_id IN (SELECT k.id FROM {{k}}) {condition}"
            f"ORDER BY {NEWEST_FIRST} LIMIT :limit",
            {"limit": limit, **given(before)},
            k=Keys.ids(sorted(sets)),
        )
        return [SeenTogether(Place(*row[:6]), row[6], row[7], bytes(row[8])) for row in rows]

    def written(self, names: Collection[str], prefixes: Collection[str], limit: int) -> list[tuple[int, str]]:
        """The known identities of these names, and some of those that begin with each of these prefixes; (id, name)."""
        rows = list(
            self._db.execute(
                self._tx,
                "SELECT i.id, i.name FROM {k} JOIN identity i ON i.name = k.name ORDER BY i.name LIMIT :limit",
                {"limit": limit},
                k=Keys({"name": "text"}, [(name,) for name in sorted(names)]),
            )
        )
        if prefixes:
            ranges = {f"from{index}": prefix for index, prefix in enumerate(prefixes)}
            ends = {f"to{index}": prefix + LAST_CHARACTER for index, prefix in enumerate(prefixes)}
            each = " UNION ALL ".join(
                f"SELECT * FROM (SELECT id, name FROM identity WHERE name >= CAST(:from{index} AS text) "
                f"AND name < CAST(:to{index} AS text) ORDER BY name LIMIT :limit) AS r{index}"
                for index in range(len(ranges))
            )
            rows += self._db.execute(self._tx, each, {"limit": limit, **ranges, **ends})
        return [(row[0], row[1]) for row in rows]

    def aliases(self, customer: int, name: str, before: Place | None, limit: int) -> list[Alias]:
        """The newest aliases that say that a customer is another one, or that another is this one."""
        condition = f" AND {BEFORE}" if before is not None else ""
        join = "JOIN touchpoint p ON p.source = m.source AND p.id = m.id AND p.anchor_id = m.anchor_id"
        rows = self._db.execute(
            self._tx,
            f"SELECT {COLUMNS}, m.name, p.body FROM mention m {join} "
            f"WHERE m.kind = 'alias' AND m.anchor_id = :customer{condition} "
            f"UNION SELECT {COLUMNS}, m.name, p.body FROM mention m {join} WHERE m.kind = 'alias' AND m.name = :name{condition} "
            f"ORDER BY {', '.join(f'{index + 1} DESC' for index in range(len(Place._fields)))} LIMIT :limit",
            {"customer": customer, "name": name, "limit": limit, **given(before)},
        )
        return [Alias(Place(*row[:6]), row[6], bytes(row[7])) for row in rows]
