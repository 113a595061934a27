"""The file of the embedded bus: its tables, its connections, and the translation of SQLite's errors.

A *lane* is one partition of one topic; its number is never used again, also when a topic of the same name is made anew.
A record's *place* is `lane << 40 | offset`, the table's only key, so a lane is one range of the file and appends go to its end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.shared.errors import Misconfigured, Unavailable
from services.shared.sqlite import keep_a_log

OFFSET_BITS = 40

_TABLES = """
CREATE TABLE IF NOT EXISTS topics (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, partitions INTEGER NOT NULL, compacted INTEGER NOT NULL, retention_s INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lanes (
    lane INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    begin_offset INTEGER NOT NULL DEFAULT 0, end_offset INTEGER NOT NULL DEFAULT 0, compacted_to INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, partition)
);
CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY, compacted INTEGER NOT NULL, timestamp_ms INTEGER NOT NULL, key BLOB NOT NULL, value BLOB
);
CREATE INDEX IF NOT EXISTS records_by_key ON records (key) WHERE compacted = 1;
CREATE INDEX IF NOT EXISTS tombstones ON records (timestamp_ms) WHERE value IS NULL;
CREATE TABLE IF NOT EXISTS fences (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generations (group_name TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (
    group_name TEXT, member TEXT, topics TEXT NOT NULL, seen_ms INTEGER NOT NULL, PRIMARY KEY (group_name, member)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shares (
    group_name TEXT, topic TEXT, partition INTEGER, member TEXT NOT NULL, PRIMARY KEY (group_name, topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reports (
    group_name TEXT, topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL, PRIMARY KEY (group_name, topic, partition)
) WITHOUT ROWID;
"""

_STEPS = (_TABLES,)
"""What makes the file, in order; its `user_version` counts those done. A file of 0 may have the first step's tables. Append, never change."""


def place_of(lane: int, offset: int) -> int:
    """The key of a record in the file."""
    return lane << OFFSET_BITS | offset


def offset_of(place: int) -> int:
    """The offset within its lane of the record at a place."""
    return place & (1 << OFFSET_BITS) - 1


def connect(path: Path, busy_timeout_s: float, durable: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode. Commits of a durable one survive a power cut; of any, the death of the process."""
    with translated("open"):
        connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync leaves data in the disk's cache
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def prepare(path: Path, busy_timeout_s: float) -> None:
    """Bring the file and its tables up to date. Several processes may do so at once. Raises Misconfigured for a file of a newer version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    doing = f"prepare {path.name}"
    with closing(connect(path, busy_timeout_s)) as connection:
        with translated(doing):
            keep_a_log(connection.execute)
        with transaction(connection, doing):
            _migrate(connection, path)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (done,) = connection.execute("PRAGMA user_version").fetchone()
    if done > len(_STEPS):
        newer = f"{path} was made by a newer version of Waypost"
        raise Misconfigured(f"{newer}; start that version, or restore a backup that this one made")
    for step in _STEPS[done:]:
        for statement in filter(None, map(str.strip, step.split(";"))):
            connection.execute(statement)
    if done < len(_STEPS):
        connection.execute(f"PRAGMA user_version = {len(_STEPS)}")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what SQLite says about the world (locked, disk full, I/O, damaged) into `Unavailable`; mistakes in SQL pass."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        raise Unavailable(f"embedded bus: cannot {doing}: {error}") from error


@contextmanager
def transaction(connection: sqlite3.Connection, doing: str, write: bool = True) -> Iterator[sqlite3.Connection]:
    """One transaction: committed at the end, rolled back by any error. Raises `Unavailable`."""
    with translated(doing):
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
