"""Rejected records, the newest first, with the history of their replays; kept for some days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.ingest.domain.kept import Kept
from services.ingest.store.tables import REJECTED, REPLAY
from services.shared.db import Database, Keys

COLUMNS = (
    *("id", "at_us", "source", "code", "message", "pointer", "room", "topic", "partition", "at_offset"),
    *("key", "item_index", "item_id", "system", "body", "size", "sha256"),
)
_SELECT = ", ".join(COLUMNS)
_REPLAYS = (
    "SELECT rejected_id, at_us, status, code, message, pointer, mended, decided_by "
    "FROM {k} CROSS JOIN replay WHERE rejected_id = k.id ORDER BY rejected_id, at_us"
)


class Place(NamedTuple):
    """Where a record stands in the list."""

    at_us: int
    id: str


class Wanted(NamedTuple):
    """Which records are asked for; None means any. `until_us` is not included; `ids` empty means any."""

    source: str | None = None
    code: str | None = None
    room: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    replayed: bool | None = None
    ids: tuple[str, ...] = ()


class Replay(NamedTuple):
    """What became of one replay."""

    rejected_id: str
    at_us: int
    status: str
    code: str | None
    message: str | None
    pointer: str | None
    mended: bool
    decided_by: str


class Listed(NamedTuple):
    kept: Kept
    replayed_us: int | None


class Counted(NamedTuple):
    code: str
    source: str
    number: int


class RejectedRecords:
    """Reads and writes inside the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, tx: Connection, kept: Sequence[Kept]) -> None:
        """Store those that are not there yet."""
        self._database.insert(tx, REJECTED, COLUMNS, kept, "ON CONFLICT DO NOTHING")

    def page(self, tx: Connection, wanted: Wanted, after: Place | None, limit: int) -> Sequence[Listed]:
        """The next so many, the newest first."""
        where, params, keys = _where(wanted)
        if after is not None:
            where += " AND (at_us, id) < (:after_us, :after_id)"
            params = {**params, "after_us": after.at_us, "after_id": after.id}
        query = f"SELECT {_SELECT}, replayed_us FROM rejected WHERE {where} ORDER BY at_us DESC, id DESC LIMIT :limit"
        rows = self._database.execute(tx, query, {**params, "limit": limit}, **keys)
        return [Listed(Kept(*row[:-1]), row[-1]) for row in rows]

    def pages(self, tx: Connection, size: int) -> Iterator[Sequence[Kept]]:
        """All of them, so many at a time; those of a page may be deleted before the next."""
        query, last = f"SELECT {_SELECT} FROM rejected WHERE id > :last ORDER BY id LIMIT :size", ""
        while page := [Kept(*row) for row in self._database.execute(tx, query, {"last": last, "size": size})]:
            yield page
            last = page[-1].id

    def counts(self, tx: Connection, wanted: Wanted) -> Sequence[Counted]:
        """How many there are of each code and source."""
        where, params, keys = _where(wanted)
        query = f"SELECT code, source, count(*) FROM rejected WHERE {where} GROUP BY code, source ORDER BY code, source"
        return [Counted(*row) for row in self._database.execute(tx, query, params, **keys)]

    def replays(self, tx: Connection, ids: Sequence[str]) -> Mapping[str, Sequence[Replay]]:
        """The history of each of these, the oldest first."""
        found: dict[str, list[Replay]] = {}
        for row in self._database.execute(tx, _REPLAYS, None, **_ids(ids)):
            replay = Replay(*row)
            found.setdefault(replay.rejected_id, []).append(replay._replace(mended=bool(replay.mended)))
        return found

    def note(self, tx: Connection, replays: Sequence[Replay]) -> None:
        """Add to the history."""
        self._database.insert(tx, REPLAY, Replay._fields, replays, "ON CONFLICT DO NOTHING")
        done = [(replay.rejected_id, replay.at_us) for replay in replays if replay.status == "replayed"]
        keys = Keys({"id": "text", "at_us": "bigint"}, done)
        if done:
            update = "UPDATE rejected SET replayed_us = k.at_us FROM {k} WHERE rejected.id = k.id"
            self._database.execute(tx, update, k=keys)

    def expire(self, tx: Connection, before_us: int, limit: int) -> int:
        """Delete up to `limit` of those from before; returns how many there were."""
        query = "SELECT id FROM rejected WHERE at_us < :before_us ORDER BY at_us LIMIT :limit"
        ids = [row[0] for row in self._database.execute(tx, query, {"before_us": before_us, "limit": limit})]
        self.delete(tx, ids)
        return len(ids)

    def delete(self, tx: Connection, ids: Sequence[str]) -> None:
        """Delete these, with their history."""
        rows = [(id,) for id in ids]
        self._database.delete(tx, REPLAY, Keys({"rejected_id": "text"}, rows))
        self._database.delete(tx, REJECTED, Keys({"id": "text"}, rows))


def _where(wanted: Wanted) -> tuple[str, Mapping[str, object], Mapping[str, Keys]]:
    """The condition, its parameters, and its key tables."""
    conditions = {
        "source": "source = :source",
        "code": "code = :code",
        "room": "room = :room",
        "since_us": "at_us >= :since_us",
        "until_us": "at_us < :until_us",
    }
    params = {name: value for name, value in wanted._asdict().items() if name in conditions and value is not None}
    where = [conditions[name] for name in params]
    if wanted.replayed is not None:
        where.append(f"replayed_us IS {'NOT ' if wanted.replayed else ''}NULL")
    if wanted.ids:
        where.append("id IN (SELECT id FROM {k})")
    return " AND ".join(where) or "1 = 1", params, _ids(wanted.ids) if wanted.ids else {}


def _ids(ids: Sequence[str]) -> Mapping[str, Keys]:
    return {"k": Keys({"id": "text"}, [(id,) for id in ids])}
