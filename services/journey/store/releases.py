"""For whom releases hold: whom the identity that one names belonged to at its time, by the rules by which touchpoints are owned.

That identity leads to a root, and where that is a handle the root may lead on to another (as look-ups go on, DESIGN.md section 6);
a release holds for all of them. It is a function of the set of commands and touchpoints, so it is found out anew whenever one of these
identities may have changed hands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from services.journey.store.resolving import Resolving
from services.journey.store.tables import RELEASED
from services.shared.db import Database, Keys

NOBODY = 0
"""Whom a release holds for that is void: it was decided of somebody who is erased since. No identity has this number."""


class Release(NamedTuple):
    """A release command: the identity that it names, and when it was decided."""

    command: str
    identity: int
    at_us: int


class Releases:
    """Reads and writes in the caller's transaction. `limit`: the most customers that a handle may have."""

    def __init__(self, database: Database, limit: int) -> None:
        self._db, self._limit = database, limit

    def hold_for(self, tx: Connection, roots: Collection[int]) -> set[int]:
        """Those of these people who are released."""
        if not roots:
            return set()
        rows = self._db.execute(tx, "SELECT DISTINCT r.root_id FROM {k} JOIN released r ON r.root_id = k.id", k=Keys.ids(roots))
        return {row[0] for row in rows}

    def follow(self, tx: Connection, identities: Iterable[int]) -> set[int]:
        """These identities may lead elsewhere now. Returns the roots for whom a release holds now, or held until now."""
        if not self._db.execute(tx, "SELECT 1 FROM released LIMIT 1"):
            return set()
        rows = self._db.execute(
            tx,
            "SELECT DISTINCT c.id, c.one_id, c.at_us FROM {k} JOIN released r ON r.identity_id = k.id "
            "JOIN command c ON c.id = r.command_id",
            k=Keys.ids(identities),
        )
        return self.take(tx, [Release(*row) for row in rows])[1]

    def take(self, tx: Connection, releases: Collection[Release]) -> tuple[set[int], set[int]]:
        """Find out for whom these hold. Returns the identities that decide it, and the roots for whom that changed."""
        if not releases:
            return set(), set()
        commands = Keys({"command_id": "text"}, [(one.command,) for one in releases])
        before = {
            (row[0], row[1], row[2])
            for row in self._db.execute(
                tx,
                "SELECT r.command_id, r.identity_id, r.root_id FROM {k} JOIN released r ON r.command_id = k.command_id",
                k=commands,
            )
        }
        after = {(one.command, identity, root) for one in releases for identity, root in self._path(tx, one)}
        if before != after:
            self._db.delete(tx, RELEASED, commands)
            self._db.insert(tx, RELEASED, ("command_id", "identity_id", "root_id"), sorted(after))
        changed = {(command, root) for command, _, root in before} ^ {(command, root) for command, _, root in after}
        return {identity for _, identity, _ in after}, {root for _, root in changed} - {NOBODY}

    def differences(self, tx: Connection) -> Iterator[tuple[str, object, object]]:
        """What is kept of each release, and what is right."""
        kept: dict[str, set[tuple[int, int]]] = {}
        for command, identity, root in self._db.execute(tx, "SELECT command_id, identity_id, root_id FROM released"):
            kept.setdefault(command, set()).add((identity, root))
        rows = self._db.execute(tx, "SELECT id, one_id, at_us FROM command WHERE action = 'release'")
        right = {row[0]: set(self._path(tx, Release(*row))) for row in rows}
        for command in sorted(kept.keys() | right.keys()):
            yield f"whom release {command} holds for", kept.get(command), right.get(command)

    def _path(self, tx: Connection, release: Release) -> list[tuple[int, int]]:
        """Each identity with the root that it leads to, the named one first."""
        resolving = Resolving(self._db, tx, self._limit)
        path: dict[int, int] = {}
        identity = release.identity
        while identity not in path and identity != NOBODY:
            is_void = self._is_erased(tx, identity, release.at_us)
            path[identity] = NOBODY if is_void else resolving.root(identity, release.at_us)
            identity = path[identity]
        return list(path.items())

    def _is_erased(self, tx: Connection, identity: int, at_us: int) -> bool:
        rows = self._db.execute(
            tx, "SELECT 1 FROM identity WHERE id = :id AND erased_us >= :at_us", {"id": identity, "at_us": at_us}
        )
        return bool(rows)
