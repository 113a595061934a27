"""Versions of what is published: one growing sequence, behind an epoch that restores and rebuilds raise. They never go back."""

from __future__ import annotations

from sqlalchemy import Connection

from services.shared.db import Database

EPOCH_BITS = 40
"""By how many bits a version's epoch stands above its number."""


def next_version(database: Database, tx: Connection) -> int:
    """A version above all that were given out. Ask after locking who it is for."""
    if database.is_postgres:
        rows = database.execute(tx, "SELECT epoch, nextval('version_seq') FROM installation")
    else:
        rows = database.execute(tx, "UPDATE installation SET version = version + 1 RETURNING epoch, version")
    return _version(*rows[0])


def last_version(database: Database, tx: Connection) -> int:
    """The last version that was given out, or more."""
    number = "(SELECT last_value FROM version_seq)" if database.is_postgres else "version"
    rows = database.execute(tx, f"SELECT epoch, {number} FROM installation")
    return _version(*rows[0])


def _version(epoch: int, number: int) -> int:
    return (epoch << EPOCH_BITS) + number
