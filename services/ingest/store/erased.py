"""Erasures carried out on rejected records: those that are stored, and those that come late."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.ingest.domain.kept import Kept
from services.ingest.domain.mentions import mentions, sought, when
from services.ingest.store.rejected import RejectedRecords
from services.ingest.store.tables import ERASED, ERASURE, SECRET
from services.shared.db import Database, Keys

_LOCK = 7462
_ALL_PAGE = 100
_FIND = "SELECT digest, command, until_us FROM {k} CROSS JOIN erased JOIN erasure USING (command) WHERE digest = k.d"


class Erase(NamedTuple):
    """A command to erase somebody, up to a time. `names` are identities in their normal form."""

    command: str
    names: Sequence[str]
    until_us: int


class Unsaid(NamedTuple):
    """What other rooms have not been told yet."""

    command: str
    removed: int


class Erased:
    """Inside the caller's transaction. What is removed is the same in whatever order records and commands come."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = RejectedRecords(database)
        self._key: bytes | None = None

    def lock(self, tx: Connection, erasing: bool) -> None:
        """Nobody stores a record while somebody erases: one of the two would not see the other. Before anything is read."""
        if self._database.is_postgres:  # SQLite has one writer
            shared = "" if erasing else "_shared"
            self._database.execute(tx, f"SELECT pg_advisory_xact_lock{shared}({_LOCK})")

    def keepable(self, tx: Connection, kept: Sequence[Kept]) -> list[Kept]:
        """Those that mention nobody who is erased; the others are only counted."""
        if not self._database.execute(tx, "SELECT 1 FROM erased LIMIT 1"):
            return list(kept)
        mentioned = [self._digests(tx, mentions(one)) for one in kept]
        everything = set().union(*mentioned) if mentioned else set[str]()
        found: dict[str, list[tuple[str, int]]] = {}
        keys = Keys({"d": "text"}, [(digest,) for digest in sorted(everything)])
        for digest, command, until_us in self._database.execute(tx, _FIND, None, k=keys):
            found.setdefault(digest, []).append((command, until_us))
        left: list[Kept] = []
        removed: Counter[str] = Counter()
        for one, digests in zip(kept, mentioned, strict=True):
            commands = {(command, until) for digest in digests & found.keys() for command, until in found[digest]}
            hit = sorted(command for command, until in commands if when(one) <= until) if commands else []
            if hit:
                removed[hit[0]] += 1
            else:
                left.append(one)
        self._count(tx, removed)
        return left

    def erase(self, tx: Connection, erase: Erase) -> int:
        """Delete what mentions them and is not about a later time; returns how many. Again, it deletes nothing."""
        wanted = frozenset().union(*map(sought, erase.names)) if erase.names else frozenset[str]()
        row = [erase.command, erase.until_us, 0, -1]
        self._database.insert(tx, ERASURE, ["command", "until_us", "removed", "said"], [row], "ON CONFLICT DO NOTHING")
        digests = [(digest, erase.command) for digest in sorted(self._digests(tx, wanted))]
        self._database.insert(tx, ERASED, ["digest", "command"], digests, "ON CONFLICT DO NOTHING")
        removed = 0
        for page in self._records.pages(tx, _ALL_PAGE):
            gone = [one.id for one in page if mentions(one) & wanted and when(one) <= erase.until_us]
            self._records.delete(tx, gone)
            removed += len(gone)
        self._count(tx, {erase.command: removed})
        return removed

    def unsaid(self, tx: Connection) -> Sequence[Unsaid]:
        """What has been removed since it was said last."""
        rows = self._database.execute(tx, "SELECT command, removed FROM erasure WHERE removed <> said ORDER BY command")
        return [Unsaid(*row) for row in rows]

    def note_said(self, tx: Connection, said: Iterable[Unsaid]) -> None:
        keys = Keys({"command": "text", "said": "bigint"}, list(said))
        self._database.execute(tx, "UPDATE erasure SET said = k.said FROM {k} WHERE erasure.command = k.command", None, k=keys)

    def _count(self, tx: Connection, removed: Mapping[str, int]) -> None:
        rows = sorted((command, count) for command, count in removed.items() if count)
        if rows:
            keys = Keys({"command": "text", "more": "bigint"}, rows)
            update = "UPDATE erasure SET removed = removed + k.more FROM {k} WHERE erasure.command = k.command"
            self._database.execute(tx, update, None, k=keys)

    def _digests(self, tx: Connection, names: Iterable[str]) -> set[str]:
        key = self._secret(tx)
        return {hashlib.blake2b(name.encode(errors="replace"), key=key, digest_size=16).hexdigest() for name in names}

    def _secret(self, tx: Connection) -> bytes:
        """The key of these hashes: made by whoever needs it first."""
        if self._key is None:
            row = ["erased", secrets.token_bytes(32)]
            self._database.insert(tx, SECRET, ["name", "value"], [row], "ON CONFLICT DO NOTHING")
            ((value,),) = self._database.execute(tx, "SELECT value FROM secret WHERE name = 'erased'")
            self._key = bytes(value)
        return self._key
