"""Walks through all facts, or all rows of a table, in key order and in pages, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from schemas.facts import Fact
from services.metrics.store.facts import fact_of
from services.metrics.store.tables import ROW_KEY
from services.shared.db import Database

PAGE = 5000
_FACT_KEY = ("partition", "person_id", "month", "key")


class StoredFact(NamedTuple):
    partition: int
    identified: bool
    fact: Fact


def facts(database: Database, tx: Connection) -> Iterator[list[StoredFact]]:
    """Every stored fact; each page holds facts of one or more partitions, in key order."""
    sql = (
        "SELECT f.partition, f.person_id, f.month, f.key, f.body, m.identified FROM fact f JOIN person_month m "
        "ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month "
        f"WHERE {_after('f', _FACT_KEY)} ORDER BY {_columns('f', _FACT_KEY)} LIMIT {PAGE}"
    )
    for page in _pages(database, tx, sql, (-1, "", "", ""), 4):
        yield [StoredFact(row[0], bool(row[5]), fact_of(row[4])) for row in page]


def rows(database: Database, tx: Connection, table: str, columns: Sequence[str]) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    """Every row of `rollup` or `histogram`: the columns of its key, then `columns`, in pages."""
    sql = (
        f"SELECT {_columns('t', ROW_KEY)}, {_columns('t', columns)} FROM {table} t "
        f"WHERE {_after('t', ROW_KEY)} ORDER BY {_columns('t', ROW_KEY)} LIMIT {PAGE}"
    )
    return _pages(database, tx, sql, (-1, "", "", 0, 0, "", 0), len(ROW_KEY))


def _pages(
    database: Database, tx: Connection, sql: str, start: Sequence[object], width: int
) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    last = start
    while page := database.execute(tx, sql, {f"p{i}": value for i, value in enumerate(last)}):
        yield page
        last = page[-1][:width]


def _columns(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


def _after(alias: str, names: Sequence[str]) -> str:
    return f"({_columns(alias, names)}) > ({', '.join(f':p{i}' for i in range(len(names)))})"
