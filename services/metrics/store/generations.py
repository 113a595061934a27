"""Which rollups are live. A process whose contributions or settings differ from those of the live generation writes nothing."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from services.metrics.domain.cubes import CUBES
from services.metrics.domain.measures import VERSION
from services.shared.db import Database
from services.shared.errors import Misconfigured, Unavailable

MEND = "waypost rebuild metrics"
REBUILT = f"the rollups have been rebuilt with other settings; restart this process with them, or run `{MEND}` with its own"


class Generation(NamedTuple):
    """`number` keys the rollup rows, `hash` says what made them."""

    number: int
    hash: str


def generation_hash(time_zone: str, opening_hours: str = "") -> str:
    """What rollups depend on besides the facts: the contributions' version, the cubes, the time zone and the opening hours."""
    made_by = msgspec.json.encode([VERSION, time_zone, opening_hours, CUBES])
    return hashlib.sha256(made_by).hexdigest()[:16]


def live(database: Database, tx: Connection) -> Generation | None:
    """The live generation, None before the first start."""
    rows = database.execute(tx, "SELECT number, hash FROM generation WHERE live")
    return Generation(*rows[0]) if rows else None


def hash_of(database: Database, tx: Connection, number: int) -> str | None:
    """What a generation is made by; None if there is no such generation."""
    rows = database.execute(tx, "SELECT hash FROM generation WHERE number = :number", {"number": number})
    return rows[0][0] if rows else None


def open_generation(database: Database, tx: Connection, wanted: str) -> Generation:
    """The live generation; the first one is made here. Raises Misconfigured if it was made by other code or settings."""
    if live(database, tx) is None:
        database.execute(
            tx,
            "INSERT INTO generation (number, hash, live) VALUES (1, :hash, :yes) ON CONFLICT DO NOTHING",
            {"hash": wanted, "yes": True},
        )
    found = live(database, tx)
    if found is None or found.hash != wanted:
        raise Misconfigured(
            f"the rollups were made with another version, time zone or opening hours than this process has; run `{MEND}`"
        )
    return found


def held_generation(database: Database, tx: Connection, wanted: str) -> Generation:
    """The live generation, kept from being replaced until the transaction ends.

    Raises Unavailable if it is no longer the one this process writes.
    """
    rows = database.execute(tx, "SELECT number, hash FROM generation WHERE live" + (" FOR SHARE" if database.is_postgres else ""))
    if not rows or rows[0][1] != wanted:
        raise Unavailable(REBUILT)
    return Generation(*rows[0])


def keep_writers_out(database: Database, tx: Connection) -> None:
    """Wait until every writer of the live generation (`held_generation`) is done; no other begins until the transaction ends.

    Readers don't wait. On SQLite a transaction is the only one that writes anyway. PostgreSQL serves waiting locks of a table in
    turn, those of a row not: a busy row could keep this waiting for ever.
    """
    if database.is_postgres:
        tx.exec_driver_sql("LOCK TABLE generation IN EXCLUSIVE MODE")


def add(database: Database, tx: Connection, made_by: str) -> int:
    """A generation that is not live yet; its number is one more than there ever was beside the live one."""
    number = 1 + max((row[0] for row in database.execute(tx, "SELECT number FROM generation")), default=0)
    row = {"number": number, "hash": made_by, "no": False}
    database.execute(tx, "INSERT INTO generation (number, hash, live) VALUES (:number, :hash, :no)", row)
    return number


def switch(database: Database, tx: Connection, number: int) -> None:
    """Make a generation the live one. The caller keeps writers out."""
    database.execute(tx, "UPDATE generation SET live = (number = :number)", {"number": number})


def retired(database: Database, tx: Connection) -> list[int]:
    """Generations that are neither live nor being filled."""
    rows = database.execute(
        tx, "SELECT number FROM generation WHERE NOT live AND number NOT IN (SELECT generation FROM filling) ORDER BY number"
    )
    return [row[0] for row in rows]
