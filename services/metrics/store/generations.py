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


class Generation(NamedTuple):
    """`number` keys the rollup rows, `hash` says what made them."""

    number: int
    hash: str


def generation_hash(time_zone: str) -> str:
    """What rollups depend on besides the facts: the contributions' version, the cubes, and the time zone."""
    made_by = msgspec.json.encode([VERSION, time_zone, CUBES])
    return hashlib.sha256(made_by).hexdigest()[:16]


def live(database: Database, tx: Connection) -> Generation | None:
    """The live generation, None before the first start."""
    rows = database.execute(tx, "SELECT number, hash FROM generation WHERE live")
    return Generation(*rows[0]) if rows else None


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
        raise Misconfigured(f"the rollups were made with another version or time zone than this process has; run `{MEND}`")
    return found


def held_generation(database: Database, tx: Connection, wanted: str) -> Generation:
    """The live generation, kept from being replaced until the transaction ends.

    Raises Unavailable if it is no longer the one this process writes.
    """
    rows = database.execute(tx, "SELECT number, hash FROM generation WHERE live" + (" FOR SHARE" if database.is_postgres else ""))
    if not rows or rows[0][1] != wanted:
        raise Unavailable(f"the rollups have been rebuilt with other settings; restart this process, or run `{MEND}`")
    return Generation(*rows[0])
