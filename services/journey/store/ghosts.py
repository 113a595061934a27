"""Ghosts: what is left of removed touchpoints, for the sake of who owned what (docs/decisions/0011)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.journey.store.hiding import Hiding
from services.journey.store.tables import GHOST
from services.journey.store.touchpoints import Reference
from services.shared.db import Database, Keys

_COLUMNS = ("key", "set_id", "time_us", "original_us", "case_rank", "received_us", "digest")


class Ghost(NamedTuple):
    """`key` tells it from others; `received_us` and `digest` (the first bytes) decide between copies."""

    key: str
    set_id: int
    time_us: int
    original_us: int
    case_rank: int
    received_us: int
    digest: str

    @property
    def precedence(self) -> tuple[int, str]:
        """Of several copies the one where this is least counts."""
        return self.received_us, self.digest


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).digest()[:8].hex()


class Ghosts:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, tx: Connection, touchpoints: Mapping[Reference, str], hiding: Hiding) -> list[Ghost]:
        """What stored touchpoints leave; with the names of their anchors."""
        rows = self._db.execute(
            tx,
            "SELECT p.source, p.id, p.anchor_id, p.set_id, p.time_us, p.original_us, p.case_rank, p.received_us, p.body FROM {k} "
            "JOIN touchpoint p ON p.source = k.source AND p.id = k.id AND p.anchor_id = k.anchor",
            k=Keys({"source": "text", "id": "text", "anchor": "bigint"}, sorted(touchpoints)),
        )
        keys = [hiding.touchpoint(touchpoints[row[0], row[1], row[2]], row[0], row[1]) for row in rows]
        return [
            Ghost(key, row[3], row[4], row[5], row[6], row[7], digest_of(bytes(row[8])))
            for key, row in zip(keys, rows, strict=True)
        ]

    def put(self, tx: Connection, ghosts: Sequence[Ghost]) -> None:
        """Keep these; one of a key replaces the one before."""
        update = ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS[1:])
        self._db.insert(tx, GHOST, _COLUMNS, ghosts, f"ON CONFLICT (key) DO UPDATE SET {update}")
        sets = Keys.ids(sorted({ghost.set_id for ghost in ghosts}))
        self._db.execute(tx, "UPDATE identity_set SET has_ghosts = true FROM {k} WHERE identity_set.id = k.id", k=sets)

    def read(self, tx: Connection, keys: Collection[str]) -> dict[str, Ghost]:
        rows = self._db.execute(
            tx,
            f"SELECT {', '.join(f'g.{column}' for column in _COLUMNS)} FROM {{k}} JOIN ghost g ON g.key = k.key",
            k=Keys({"key": "text"}, [(key,) for key in sorted(keys)]),
        )
        return {row[0]: Ghost(*row) for row in rows}

    def remove(self, tx: Connection, keys: Collection[str]) -> None:
        self._db.delete(tx, GHOST, Keys({"key": "text"}, [(key,) for key in keys]))

    def in_sets(self, tx: Connection, sets: Collection[int]) -> list[tuple[int, int]]:
        """(set, time) of the ghosts in some sets."""
        rows = self._db.execute(
            tx,
            "SELECT g.set_id, g.time_us FROM {k} JOIN ghost g ON g.set_id = k.id",
            k=Keys.ids(sorted(sets)),
        )
        return [(row[0], row[1]) for row in rows]
