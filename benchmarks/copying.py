"""Copies filled stores from SQLite to PostgreSQL: both have the same tables, and this takes seconds where filling takes minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Boolean, Connection, Table

from benchmarks.stores import Stores, open_room
from services.journey import migrations as journey
from services.journey.store import tables as journey_tables
from services.metrics import migrations as metrics
from services.metrics.store import tables as metrics_tables
from services.shared.db import Database
from services.shared.migrating import migrate

_CHUNK = 20_000


def copied(stores: Stores, url: str) -> Stores:
    """The same touchpoints, people, facts and rollups in an empty PostgreSQL database."""
    for source, history, metadata in (
        (stores.journey, journey.HISTORY, journey_tables.METADATA),
        (stores.metrics, metrics.HISTORY, metrics_tables.METADATA),
    ):
        target = open_room(url, history.room)
        migrate(target, history)
        with source.snapshot() as old, target.transaction() as new:
            for table in metadata.sorted_tables:
                _copy(source, old, target, new, table)
        target.close()
    made = Stores(url)
    _count_on(made.journey)
    made.settle()
    return made


def _copy(source: Database, old: Connection, target: Database, new: Connection, table: Table) -> None:
    columns = [column.name for column in table.columns]
    read: list[Callable[[Any], Any]] = [bool if isinstance(column.type, Boolean) else _same for column in table.columns]
    found = old.exec_driver_sql(f"SELECT {', '.join(columns)} FROM {table.name}")
    while rows := found.fetchmany(_CHUNK):
        target.append(new, table, columns, [[of(value) for of, value in zip(read, row, strict=True)] for row in rows])


def _count_on(journey: Database) -> None:
    """Numbers that PostgreSQL gives out go on where those of SQLite ended."""
    with journey.transaction() as tx:
        for table in ("identity", "identity_set"):
            tx.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
        tx.exec_driver_sql("SELECT setval('version_seq', (SELECT version FROM installation))")


def _same(value: Any) -> Any:
    return value
