"""One room's database: SQLite (embedded) or PostgreSQL, with the set-wise statements that both can do.

SQL is written once, with `:name` parameters. A *key table* – rows given from here that a statement joins with – is written
`{k}` and becomes `unnest(…)` on PostgreSQL and `json_each(…)` on SQLite. Driver errors are translated here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, CursorResult, Engine, Table, create_engine, event, exc
from sqlalchemy.engine import Row, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, IsolationLevel
from sqlalchemy.types import BigInteger, Boolean, Float, Integer, LargeBinary, SmallInteger, TypeEngine

from services.shared.errors import Contended, Unavailable
from services.shared.sqlite import keep_a_log

IDLE_IN_TRANSACTION_S = 60
"""How long a PostgreSQL transaction in which nothing happens keeps its locks: a process that stands still must not stop the others."""
ISOLATION: IsolationLevel = "READ COMMITTED"
"""Asked for, whatever the server's default is: what is read after a lock must be what was committed before it was had."""
SQLITE_PATIENCE_S = 30
"""How long a writer waits for another before it gives up."""
_CONTENTION = frozenset({"40001", "40P01", "55P03"})
"""SQLSTATE of serialisation failures, deadlocks and locks that could not be had."""
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


class Keys(NamedTuple):
    """A key table: column names with PostgreSQL types (`bigint`, `text`, `smallint`), and rows of whole numbers or text."""

    columns: Mapping[str, str]
    rows: Sequence[Sequence[object]]

    @classmethod
    def ids(cls, ids: Iterable[int]) -> Keys:
        return cls({"id": "bigint"}, [(id,) for id in ids])


class Database:
    """A room's database. `schema` is its PostgreSQL schema; SQLite has a file per room. Thread-safe.

    `durable` makes every SQLite commit survive a power cut; without it a cut may take the last commits back together.
    """

    def __init__(self, url: str, schema: str = "", *, durable: bool = True, pool_size: int = 8) -> None:
        self.url = url
        self.schema = schema
        self.is_postgres = make_url(url).get_backend_name() == "postgresql"
        self.engine = _postgres(url, schema, pool_size) if self.is_postgres else _sqlite(url, durable)
        self.for_update = "FOR NO KEY UPDATE" if self.is_postgres else ""

    @contextmanager
    def preparing(self) -> Iterator[Connection]:
        """A transaction for changing tables, in one process at a time; the schema is there."""
        with self.transaction() as tx:
            if self.is_postgres:
                tx.exec_driver_sql("SELECT pg_advisory_xact_lock(7461)")
                if self.schema:
                    tx.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"')
            yield tx

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A read-committed transaction that may write; commits at the end, rolls back on any error. SQLite: the writer lock from the start."""
        with _translated(), self.engine.connect() as tx, tx.begin():
            yield tx

    @contextmanager
    def idle(self) -> Iterator[Connection]:
        """A connection without a transaction, each statement by itself: for what a PostgreSQL session holds, such as an advisory lock.

        It is closed at the end, and what it held is free.
        """
        with _translated(), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
            session.detach()
            yield session

    @contextmanager
    def snapshot(self, *, patient: bool = False) -> Iterator[Connection]:
        """A read-only transaction in which every statement sees the same moment. `patient`: it may do something else for long."""
        with _translated(), self.engine.connect() as plain:
            options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if self.is_postgres else {"waypost_read": True}
            tx = plain.execution_options(**options)
            with tx.begin():
                if patient and self.is_postgres:
                    tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield tx

    def execute(
        self, tx: Connection, sql: str, params: Mapping[str, object] | None = None, **keys: Keys
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Run one statement, with its key tables by name; returns its rows (empty for one that returns none)."""
        result = self._run(tx, sql, params, keys)
        return result.fetchall() if result.returns_rows else []

    def count(self, tx: Connection, sql: str, params: Mapping[str, object] | None = None, **keys: Keys) -> int:
        """Run one INSERT, UPDATE or DELETE and return how many rows it changed."""
        return self._run(tx, sql, params, keys).rowcount

    def insert(
        self, tx: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[object]], tail: str = ""
    ) -> None:
        """Insert many rows in one statement. `tail` is SQL after the values, such as `ON CONFLICT … DO UPDATE SET x = excluded.x`."""
        if not rows:
            return
        if self.is_postgres:
            arrays = {f"c{i}": _array(column) for i, column in enumerate(zip(*rows, strict=True))}
            tx.exec_driver_sql(_postgres_insert(table, tuple(columns), tail), arrays)
        else:
            tx.exec_driver_sql(_sqlite_insert(table, tuple(columns), tail), [tuple(row) for row in rows])

    def append(self, tx: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert many rows of which none can be there already: the fastest way in (COPY on PostgreSQL)."""
        if not rows:
            return
        if not self.is_postgres:
            self.insert(tx, table, columns, rows)
            return
        driver: Any = tx.connection.driver_connection
        with _driver_translated(), driver.cursor() as cursor, cursor.copy(_postgres_copy(table, tuple(columns))) as copy:
            copy.set_types([_sql_type(table.c[column].type) for column in columns])
            for row in rows:
                copy.write_row(row)

    def delete(self, tx: Connection, table: Table, keys: Keys, where: str = "") -> None:
        """Delete the rows that have these keys (and fulfil `where`), each found by its key."""
        if not keys.rows:
            return
        condition = f" AND {where}" if where else ""
        if self.is_postgres:
            same = " AND ".join(f"{table.name}.{column} = k.{column}" for column in keys.columns)
            self._run(tx, f"DELETE FROM {table.name} USING {{k}} WHERE {same}{condition}", None, {"k": keys})
        else:
            same = " AND ".join(f"{column} = ?" for column in keys.columns)
            tx.exec_driver_sql(f"DELETE FROM {table.name} WHERE {same}{condition}", [tuple(row) for row in keys.rows])

    def ping(self) -> None:
        """Return if the database answers; raises Unavailable if not."""
        with _translated(), self.engine.connect() as tx:
            tx.exec_driver_sql("SELECT 1")

    def sweep(self) -> None:
        """After the commit of an erasure: SQLite's log forgets what was deleted, unless somebody reads an older state right now."""
        if not self.is_postgres:
            with closing(self.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self.engine.dispose()

    def _run(self, tx: Connection, sql: str, params: Mapping[str, object] | None, keys: Mapping[str, Keys]) -> CursorResult[Any]:
        given = dict(params or {})
        for name, table in keys.items():
            given.update(self._key_parameters(name, table))
        shapes = tuple((name, tuple(table.columns.items())) for name, table in keys.items())
        return tx.exec_driver_sql(_statement(sql, shapes, self.is_postgres), given)

    def _key_parameters(self, name: str, table: Keys) -> Mapping[str, object]:
        if not self.is_postgres:
            return {name: msgspec.json.encode(table.rows).decode()}
        columns = list(zip(*table.rows, strict=True)) if table.rows else [()] * len(table.columns)
        return {f"{name}_{column}": _array(values) for column, values in zip(table.columns, columns, strict=True)}


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file; its folder must exist."""
    return f"sqlite+pysqlite:///{file}"


def postgres_url(url: str) -> str:
    """A PostgreSQL URL with the driver that Waypost uses, whichever way it was written."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _postgres(url: str, schema: str, pool_size: int) -> Engine:
    arguments: dict[str, object] = {"connect_timeout": 5, "application_name": f"waypost {schema}".strip()}
    options = [f"-cidle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s"]
    if schema:
        options.append(f"-csearch_path={schema}")
    arguments["options"] = " ".join(options)
    return create_engine(
        postgres_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        isolation_level=ISOLATION,
        connect_args=arguments,
    )


def _sqlite(url: str, durable: bool) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_PATIENCE_S, "check_same_thread": False, "cached_statements": 256})

    def on_connect(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        keep_a_log(cursor.execute)
        for pragma in (
            f"synchronous={'FULL' if durable else 'NORMAL'}",
            "cache_size=-16000",
            "temp_store=MEMORY",
            "secure_delete=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("waypost_read", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.OperationalError as error:
        raise _trouble(error.orig or error) from error
    except (exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        raise _trouble(error) from error


@contextmanager
def _driver_translated() -> Iterator[None]:
    """The same where psycopg is called by itself."""
    from psycopg import InterfaceError, InternalError, OperationalError  # not in an embedded start: it takes a while

    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        raise _trouble(error) from error


def _trouble(error: BaseException) -> Unavailable:
    kind = Contended if getattr(error, "sqlstate", None) in _CONTENTION else Unavailable
    return kind(f"the database does not answer as it should: {error}")


def _array(values: Sequence[object]) -> str:
    """PostgreSQL's text form of an array: several times faster to make than the driver's own."""
    return "{" + ",".join(_element(value) for value in values) + "}"


def _element(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return '"\\\\x' + value.hex() + '"'
    return str(value)


def _sql_type(of: TypeEngine[Any]) -> str:
    for kind, name in (
        (BigInteger, "bigint"),
        (SmallInteger, "smallint"),
        (Integer, "integer"),
        (Boolean, "boolean"),
        (Float, "double precision"),
        (LargeBinary, "bytea"),
    ):
        if isinstance(of, kind):
            return name
    return "text"


@lru_cache(maxsize=512)
def _statement(sql: str, keys: tuple[tuple[str, tuple[tuple[str, str], ...]], ...], is_postgres: bool) -> str:
    for name, columns in keys:
        if is_postgres:
            arrays = ", ".join(f":{name}_{column}::{kind}[]" for column, kind in columns)
            fragment = f"unnest({arrays}) AS {name}({', '.join(column for column, _ in columns)})"
        else:
            picks = ", ".join(f"json_extract(value, '$[{i}]') AS {column}" for i, (column, _) in enumerate(columns))
            fragment = f"(SELECT {picks} FROM json_each(:{name})) AS {name}"
        sql = sql.replace(f"{{{name}}}", fragment)
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")) if is_postgres else sql


@lru_cache(maxsize=128)
def _postgres_insert(table: Table, columns: tuple[str, ...], tail: str) -> str:
    arrays = ", ".join(f"%(c{i})s::{_sql_type(table.c[column].type)}[]" for i, column in enumerate(columns))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) {tail}"


@lru_cache(maxsize=128)
def _postgres_copy(table: Table, columns: tuple[str, ...]) -> str:
    return f"COPY {table.name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"


@lru_cache(maxsize=128)
def _sqlite_insert(table: Table, columns: tuple[str, ...], tail: str) -> str:
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) {tail}"
