"""Sources and their write keys: in ingest's own database, and from the setting `write_keys`.

A key is public (it stands in web pages) and says only which source is speaking. It is kept as its SHA-256. Look-ups are
answered from memory, so that ingest goes on while its database is away; `refresh` brings what other processes changed. What
is looked up is the digest, so the time it takes tells nothing about a key.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.ingest.migrations import HISTORY
from services.ingest.store.tables import SOURCE, WRITE_KEY
from services.shared.clock import Clock
from services.shared.db import Database
from services.shared.errors import Misconfigured, Rejected, Unavailable
from services.shared.http.guard import hashed
from services.shared.migrating import migrate

KEY = re.compile(r"c[0-9A-Za-z]{24,127}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)
TRUSTED = ":trusted"


class Source(NamedTuple):
    """A registered sender. `origins` are the web origins that may post as it; none means any.

    `is_trusted`: its aliases may join two customers. Its keys must not be public, then.
    """

    name: str
    system: str
    origins: tuple[str, ...] = ()
    is_trusted: bool = False


class SourceRow(NamedTuple):
    """A source as `waypost sources list` shows it; `keys` counts those that are not revoked."""

    source: Source
    created_us: int
    keys: int


def new_key() -> str:
    """A fresh write key: `c` and 32 letters and digits (190 bits), which every SDK takes."""
    letters = string.ascii_letters + string.digits
    return "c" + "".join(secrets.choice(letters) for _ in range(32))


def parse_write_keys(text: str) -> dict[str, Source]:
    """The setting `write_keys`: {digest: source}. Raises Misconfigured, naming the pair that is wrong."""
    found: dict[str, Source] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        given, _, key = pair.partition("=")
        name = given.removesuffix(TRUSTED)
        if not NAME.fullmatch(name) or not KEY.fullmatch(key):
            shape = f"source=key or source{TRUSTED}=key, where a key is c and at least 24 letters and digits"
            raise Misconfigured(f"WAYPOST_WRITE_KEYS: write each pair as {shape} (the pair of {name!r} is not)")
        found[hashed(key)] = Source(name, name, is_trusted=name != given)
    return found


class Sources:
    """The registry of sources. Methods that write raise `Unavailable` when the database is away. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, fixed: Mapping[str, Source] | None = None) -> None:
        self._database = database
        self._clock = clock
        self._fixed = dict(fixed or {})
        self._known = dict(self._fixed)
        self._is_created = False
        self._is_read = False

    def find(self, key: str) -> Source | None:
        """The source of a write key, from memory; None if there is none or it is revoked."""
        return self._known.get(hashed(key))

    def is_trusted(self, name: str) -> bool:
        """Whether a source that has a key is a trusted one."""
        return any(source.is_trusted for source in self._known.values() if source.name == name)

    def refresh(self) -> None:
        """Read what the database holds now. Raises Unavailable; then what was known stays known."""
        self._create()
        query = "SELECT digest, name, system, origins, is_trusted FROM write_key JOIN source ON source = name WHERE revoked_us IS NULL"
        with self._database.snapshot() as tx:
            rows = self._database.execute(tx, query)
        stored = {row[0]: _source(*row[1:]) for row in rows}
        self._known, self._is_read = stored | self._fixed, True

    def check_read(self) -> None:
        """Raises Unavailable as long as no `refresh` has succeeded."""
        if not self._is_read:
            raise Unavailable("the sources could not be read yet")

    def add(self, source: Source, key: str | None = None) -> str:
        """Register a source, or give one that is there a further key; returns the key, which is shown only here.

        A source that is there keeps its system, its origins and its trust. A key that was revoked stays revoked.
        """
        if not NAME.fullmatch(source.name) or not NAME.fullmatch(source.system):
            raise Rejected("invalid_source", "a name has 1 to 100 letters, digits, dots, dashes and underscores")
        key = key or new_key()
        now = self._clock()
        self._create()
        with self._database.transaction() as tx:
            row = [source.name, source.system, json.dumps(source.origins), source.is_trusted, now]
            named = ["name", "system", "origins", "is_trusted", "created_us"]
            self._database.insert(tx, SOURCE, named, [row], "ON CONFLICT DO NOTHING")
            columns = ["digest", "source", "created_us"]
            self._database.insert(tx, WRITE_KEY, columns, [[hashed(key), source.name, now]], "ON CONFLICT DO NOTHING")
        self.refresh()
        return key

    def list(self) -> Sequence[SourceRow]:
        """All sources by name, those of the setting included."""
        self._create()
        query = (
            "SELECT name, system, origins, is_trusted, source.created_us, count(digest) FROM source "
            "LEFT JOIN write_key ON source = name AND revoked_us IS NULL "
            "GROUP BY name, system, origins, is_trusted, source.created_us"
        )
        with self._database.snapshot() as tx:
            rows = self._database.execute(tx, query)
        listed = [SourceRow(_source(*row[:4]), row[4], row[5]) for row in rows]
        return sorted([*listed, *(SourceRow(source, 0, 1) for source in self._fixed.values())])

    def trust(self, name: str, is_trusted: bool) -> None:
        """Whether the aliases of a source may join two customers. Raises Rejected("unknown_source")."""
        self._create()
        update = "UPDATE source SET is_trusted = :is_trusted WHERE name = :name"
        with self._database.transaction() as tx:
            if not self._database.count(tx, update, {"is_trusted": is_trusted, "name": name}):
                raise _unknown(name)
        self.refresh()

    def revoke(self, name: str) -> int:
        """Revoke every key of a source; returns how many there were. Raises Rejected("unknown_source")."""
        self._create()
        with self._database.transaction() as tx:
            if not self._database.execute(tx, "SELECT 1 FROM source WHERE name = :name", {"name": name}):
                raise _unknown(name)
            update = "UPDATE write_key SET revoked_us = :now WHERE source = :name AND revoked_us IS NULL"
            count = self._database.count(tx, update, {"now": self._clock(), "name": name})
        self.refresh()
        return count

    def ping(self) -> None:
        """Raises Unavailable when the database is away."""
        self._database.ping()

    def _create(self) -> None:
        if not self._is_created:
            migrate(self._database, HISTORY)
            self._is_created = True


def _source(name: str, system: str, origins: str, is_trusted: bool) -> Source:
    return Source(name, system, tuple(json.loads(origins)), bool(is_trusted))


def _unknown(name: str) -> Rejected:
    return Rejected("unknown_source", f"there is no source {name!r}; `waypost sources list` shows those there are")
