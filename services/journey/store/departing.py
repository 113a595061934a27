"""Months that are gone: published as such with their version, and as nulls once metrics has passed that.

A null lets the bus forget the month altogether. Published any earlier, it could be all that metrics ever reads of the month, with
no version to compare; so what is gone is listed here until the null is on the bus.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.journey.store.tables import GONE_MONTH
from services.shared.db import Database, Keys

_COLUMNS = ("partition", "person_id", "month", "version", "erasure", "place")
_KEY = {"partition": "bigint", "person_id": "text", "month": "bigint"}
_NEWER = (
    "ON CONFLICT (partition, person_id, month) DO UPDATE SET version = excluded.version, erasure = excluded.erasure, "
    "place = excluded.place WHERE gone_month.version <= excluded.version"
)


class GoneMonth(NamedTuple):
    """A person's month of which nothing is left. `erasure` is the command that says so, if one does; `place` is the offset under which
    it was published as gone, None if it was not yet."""

    partition: int
    person_id: str
    month: int
    version: int
    erasure: str | None = None
    place: int | None = None


class GoneMonths:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, tx: Connection, months: Sequence[GoneMonth]) -> None:
        """List these, unless a newer version is listed."""
        self._db.insert(tx, GONE_MONTH, _COLUMNS, months, _NEWER)

    def unpublished(self, tx: Connection, partitions: Collection[int], limit: int) -> list[GoneMonth]:
        """The first that are to be published as gone."""
        return self._read(tx, "m.place IS NULL", partitions, limit)

    def waiting(self, tx: Connection, partitions: Collection[int], limit: int) -> list[GoneMonth]:
        """The first that were published as gone, and whose nulls are to follow."""
        return self._read(tx, "m.place IS NOT NULL", partitions, limit)

    def list_all(self, tx: Connection) -> None:
        """All are to be published as gone again: the topic lacks what it had."""
        self._db.execute(tx, "UPDATE gone_month SET place = NULL WHERE place IS NOT NULL")

    def came_back(self, tx: Connection, months: Collection[tuple[int, str, int, int]]) -> None:
        """Of these (partition, person_id, month) a version with facts is published: what was gone before is so no more."""
        keys = Keys({**_KEY, "version": "bigint"}, list(months))
        same = " AND ".join(f"gone_month.{column} = k.{column}" for column in _KEY)
        self._db.execute(
            tx,
            f"DELETE FROM gone_month WHERE EXISTS (SELECT 1 FROM {{k}} WHERE {same} AND gone_month.version < k.version)",
            k=keys,
        )

    def forget(self, tx: Connection, months: Collection[GoneMonth]) -> None:
        """The nulls of these are on the bus."""
        self._db.delete(tx, GONE_MONTH, Keys({**_KEY, "version": "bigint"}, [month[:4] for month in months]))
        erasures = sorted(month.erasure for month in months if month.erasure is not None)
        counted = [(erasure, erasures.count(erasure)) for erasure in dict.fromkeys(erasures)]
        if counted:
            self._db.execute(
                tx,
                "UPDATE erasure SET nulls = nulls + k.n FROM {k} WHERE erasure.id = k.id",
                k=Keys({"id": "text", "n": "bigint"}, counted),
            )

    def _read(self, tx: Connection, condition: str, partitions: Collection[int], limit: int) -> list[GoneMonth]:
        rows = self._db.execute(
            tx,
            f"SELECT {', '.join(f'm.{column}' for column in _COLUMNS)} FROM {{k}} JOIN gone_month m ON m.partition = k.partition "
            f"WHERE {condition} ORDER BY m.place LIMIT :limit",
            {"limit": limit},
            k=Keys({"partition": "bigint"}, [(partition,) for partition in sorted(partitions)]),
        )
        return [GoneMonth(*row) for row in rows]
