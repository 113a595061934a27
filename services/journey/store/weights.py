"""Months that are too large for the bus: they set their person aside, until they fit again (docs/decisions/0018)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from services.journey.store.outcome import Folded
from services.journey.store.people import People, Person
from services.journey.store.tables import TOO_LARGE
from services.shared.bus import MAX_RECORD_BYTES
from services.shared.db import Database, Keys

MOST_BYTES = MAX_RECORD_BYTES - 1000
"""The most that a month's facts may have, as they are kept: a record holds them without their keys, and a head and a key beside them."""


class Weights:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database, people: People, most_bytes: int = MOST_BYTES) -> None:
        self._db, self._people, self._most_bytes = database, people, most_bytes

    def weigh(self, tx: Connection, folded: Sequence[Folded], version: int) -> list[Person]:
        """The people as they are to be kept: too large or not. All months of whoever becomes either are to be published again.

        The months are written already. Costs nothing where nobody is too large or becomes it.
        """
        heavy = [one for one in folded if one.person.too_large or self._too_large(one)]
        if not heavy:
            return [one.person for one in folded]
        changed = [(change.root, change.month) for one in heavy for change in one.changes]
        self._db.delete(tx, TOO_LARGE, Keys({"root_id": "bigint", "month": "bigint"}, changed))
        self._db.insert(tx, TOO_LARGE, ("root_id", "month", "bytes"), [size for one in heavy for size in self._too_large(one)])
        left = self._roots(tx, {one.person.root for one in heavy})
        turned = {one.person.root: one.person for one in heavy if one.person.too_large != (one.person.root in left)}
        if turned:
            self._people.publish(tx, self._months(tx, turned, version), version)
        return [one.person._replace(too_large=one.person.root in left) for one in folded]

    def _too_large(self, one: Folded) -> list[tuple[int, int, int]]:
        """(root, month, bytes) of the changed months that are too large."""
        return [
            (change.root, change.month, len(change.facts))
            for change in one.changes
            if change.facts is not None and len(change.facts) > self._most_bytes
        ]

    def _roots(self, tx: Connection, roots: Collection[int]) -> set[int]:
        rows = self._db.execute(
            tx,
            "SELECT DISTINCT t.root_id FROM {k} JOIN too_large t ON t.root_id = k.id",
            k=Keys.ids(roots),
        )
        return {row[0] for row in rows}

    def _months(self, tx: Connection, turned: dict[int, Person], version: int) -> list[tuple[int, str, int]]:
        """All that these people have, which is another version now."""
        rows = self._db.execute(
            tx,
            "UPDATE month SET version = :version FROM {k} WHERE month.root_id = k.id RETURNING month.root_id, month.month",
            {"version": version},
            k=Keys.ids(turned),
        )
        return [(root, turned[root].person_id, month) for root, month in rows]
