"""What became of erasures: in journey's own tables, in other rooms, and on the bus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.commands import Done
from schemas.times import parse_time_us
from services.journey.store.tables import DONE
from services.shared.db import Database

_NEWER = "ON CONFLICT (command, room, part) DO UPDATE SET removed = excluded.removed, at_us = excluded.at_us WHERE done.at_us <= excluded.at_us"
_decode = msgspec.json.Decoder(dict[str, int]).decode
_mentions = msgspec.json.Decoder(list[dict[str, str]]).decode


class Receipt(NamedTuple):
    """An erasure as far as it is carried out. `months` were to be published as gone, of `nulls` of them the null is on the bus."""

    id: str
    at_us: int
    applied_us: int
    removed: dict[str, int]
    months: int
    nulls: int
    refused: int
    mentioned: int
    mentions: list[dict[str, str]]


class Receipts:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, tx: Connection, done: Sequence[Done]) -> None:
        """Keep what other rooms say; of one part the newest counts."""
        rows = {
            (one.command, one.room, one.part): (msgspec.json.encode(one.removed).decode(), parse_time_us(one.at, "/at"))
            for one in sorted(done, key=lambda one: parse_time_us(one.at, "/at"))
        }
        columns = ("command", "room", "part", "removed", "at_us")
        self._db.insert(tx, DONE, columns, [(*key, *row) for key, row in sorted(rows.items())], _NEWER)

    def read(self, tx: Connection, id: str) -> Receipt | None:
        rows = self._db.execute(
            tx,
            "SELECT id, at_us, applied_us, removed, months, nulls, refused, mentioned, mentions FROM erasure WHERE id = :id",
            {"id": id},
        )
        for id, at_us, applied_us, removed, months, nulls, refused, mentioned, mentions in rows:
            return Receipt(id, at_us, applied_us, _decode(removed), months, nulls, refused, mentioned, _mentions(mentions))
        return None

    def done(self, tx: Connection, id: str) -> dict[str, dict[str, int]]:
        """What each room that said so has removed, its parts added up."""
        rooms: dict[str, Counter[str]] = {}
        for room, removed in self._db.execute(tx, "SELECT room, removed FROM done WHERE command = :id", {"id": id}):
            rooms.setdefault(room, Counter()).update(_decode(removed))
        return {room: dict(sorted(counts.items())) for room, counts in sorted(rooms.items())}

    def done_us(self, tx: Connection, id: str) -> int:
        """When the last of them said so; 0 if none has yet."""
        return int(self._db.execute(tx, "SELECT coalesce(max(at_us), 0) FROM done WHERE command = :id", {"id": id})[0][0])
