"""Walks through the rows of a table in the order of its primary key, in pages, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.engine import Row

from services.shared.db import Database

PAGE = 2000
Rows = Sequence[Row[*tuple[Any, ...]]]


def pages(database: Database, tx: Connection, table: Table, columns: Sequence[str], page: int = PAGE) -> Iterator[Rows]:
    """The columns of its primary key, in their order there, then `columns`."""
    key = [column.name for column in table.primary_key]
    listed, selected = ", ".join(key), ", ".join([*key, *columns])
    after = f"WHERE ({listed}) > ({', '.join(f':after{i}' for i in range(len(key)))})"
    tail = f"ORDER BY {listed} LIMIT {page}"
    rows = database.execute(tx, f"SELECT {selected} FROM {table.name} {tail}")
    while rows:
        yield rows
        last = {f"after{i}": rows[-1][i] for i in range(len(key))}
        rows = database.execute(tx, f"SELECT {selected} FROM {table.name} {after} {tail}", last)
