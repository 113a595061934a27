"""Facts that come and go: their contributions summed up, and noted for a generation that has read their place already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from schemas.calendar import Calendar
from services.metrics.domain.measures import contributions
from services.metrics.domain.rollups import Sums
from services.metrics.store.facts import fact_of
from services.metrics.store.tables import FACT_CHANGE, FACT_KEY
from services.shared.db import Database, Keys


class Change(NamedTuple):
    """A stored fact that came (`sign` 1) or left (-1)."""

    partition: int
    person_id: str
    month: str
    key: str
    sign: int
    identified: bool
    body: str


_COLUMNS = ", ".join(Change._fields)
_NOTE = (
    f"INSERT INTO fact_change ({_COLUMNS}) SELECT {', '.join(f'k.{name}' for name in Change._fields)} FROM {{k}} JOIN filling f "
    f"ON ({', '.join(f'k.{name}' for name in FACT_KEY)}) <= ({', '.join(f'f.until_{name}' for name in FACT_KEY)})"
)
_TYPES = {
    "partition": "integer",
    "person_id": "text",
    "month": "text",
    "key": "text",
    "sign": "smallint",
    "identified": "boolean",
    "body": "text",
}


def note(database: Database, tx: Connection, changes: Sequence[Change]) -> None:
    """Write down what a generation that is being filled would miss. The caller holds the live generation (`held_generation`)."""
    if database.execute(tx, "SELECT 1 FROM filling"):
        database.execute(tx, _NOTE, k=Keys(_TYPES, changes))


def noted(database: Database, tx: Connection, limit: int) -> dict[int, Change]:
    """The oldest changes that are not counted yet, by id; those of one fact are in the order in which they were committed."""
    rows = database.execute(tx, f"SELECT id, {_COLUMNS} FROM fact_change ORDER BY id LIMIT {limit}")
    return {row[0]: Change._make((*row[1:6], bool(row[6]), row[7])) for row in rows}


def count(database: Database, tx: Connection) -> int:
    """How many are not counted yet."""
    return int(database.execute(tx, "SELECT count(*) FROM fact_change")[0][0])


def forget(database: Database, tx: Connection, ids: Iterable[int]) -> None:
    """These are counted."""
    database.delete(tx, FACT_CHANGE, Keys.ids(ids))


def summed(changes: Iterable[Change], calendar: Calendar) -> dict[int, Sums]:
    """What they add, by partition."""
    by_partition: dict[int, Sums] = {}
    for partition, _, _, _, sign, identified, body in changes:
        sums = by_partition.get(partition)
        if sums is None:
            sums = by_partition[partition] = Sums(calendar)
        sums.add(contributions(fact_of(body), identified, calendar), sign)
    return by_partition
