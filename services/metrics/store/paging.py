"""Walks through all facts, or all rows of a table, in key order and in pages, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from schemas.facts import Fact
from services.metrics.store.tables import FACT_KEY, ROW_KEY
from services.shared.db import Database

PAGE = 5000
FIRST, LAST = (-1, "", "", ""), (2**31 - 1, "", "", "")
Rows = Sequence[Row[*tuple[Any, ...]]]


class StoredFact(NamedTuple):
    partition: int
    identified: bool
    fact: Fact


def fact_rows(database: Database, tx: Connection, until: Sequence[object] = LAST) -> Iterator[Rows]:
    """Every row of `fact` up to a key, in key order, with `identified` of its month (None: there is no such month)."""
    key = tuple(FACT_KEY)
    sql = (
        f"SELECT {_columns('f', key)}, f.kind, f.at_us, f.until_us, f.body, m.identified FROM fact f LEFT JOIN person_month m "
        "ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month "
        f"WHERE {_after('f', key)} AND ({_columns('f', key)}) <= (:u0, :u1, :u2, :u3) ORDER BY {_columns('f', key)} LIMIT {PAGE}"
    )
    return _pages(database, tx, sql, FIRST, 4, {f"u{i}": value for i, value in enumerate(until)})


def rows(database: Database, tx: Connection, table: str, columns: Sequence[str], generation: int) -> Iterator[Rows]:
    """Every row of `rollup` or `histogram` of a generation: the other columns of its key, then `columns`, in pages."""
    key = ROW_KEY[1:]
    sql = (
        f"SELECT {_columns('t', key)}, {_columns('t', columns)} FROM {table} t "
        f"WHERE t.generation = {generation} AND {_after('t', key)} ORDER BY {_columns('t', key)} LIMIT {PAGE}"
    )
    return _pages(database, tx, sql, ("", "", -(2**31), -(2**31), "", -1), len(key))


def generations_of(database: Database, tx: Connection, table: str) -> list[int]:
    """The generations that rows are of, each found by one look at the key."""
    found: list[int] = []
    sql = f"SELECT generation FROM {table} WHERE generation > :last ORDER BY generation LIMIT 1"
    while next_one := database.execute(tx, sql, {"last": found[-1] if found else -(2**31)}):
        found.append(next_one[0][0])
    return found


def _pages(
    database: Database,
    tx: Connection,
    sql: str,
    start: Sequence[object],
    width: int,
    given: Mapping[str, object] = MappingProxyType({}),
) -> Iterator[Rows]:
    last = start
    while page := database.execute(tx, sql, {**given, **{f"p{i}": value for i, value in enumerate(last)}}):
        yield page
        last = page[-1][:width]


def _columns(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


def _after(alias: str, names: Sequence[str]) -> str:
    return f"({_columns(alias, names)}) > ({', '.join(f':p{i}' for i in range(len(names)))})"
