"""What is left of the names of erased people: keyed hashes. The key is the installation's own and is never published."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Sequence
from uuid import UUID, uuid5

from sqlalchemy import Connection

from services.shared.db import Database, Keys

HASH_BYTES = 16


class Hiding:
    """Hashes with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def name(self, name: str) -> str:
        """The name of an identity that nobody may read any more: its namespace is left, and a space, which begins no value."""
        namespace, _, _ = name.partition(":")
        return f"{namespace}: {self._hash('identity', name)}"

    def touchpoint(self, anchor: str, source: str, id: str) -> str:
        """What tells a ghost from others."""
        return self._hash("touchpoint", anchor, source, id)

    def person(self, person_id: str) -> str:
        return self._hash("person", person_id)

    def _hash(self, *parts: str) -> str:
        text = "\0".join(parts).encode()
        return hmac.new(self._key, text, hashlib.sha256).digest()[:HASH_BYTES].hex()


def is_hidden(name: str) -> bool:
    return ": " in name and name.partition(":")[2].startswith(" ")


class Hidden:
    """Finds what is hidden, in the caller's transaction or snapshot."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def hiding(self, tx: Connection) -> Hiding:
        return Hiding(bytes.fromhex(self._db.execute(tx, "SELECT erasure_key FROM installation")[0][0]))

    def names(self, tx: Connection, names: Collection[str]) -> dict[str, int]:
        """The identities that have these names, but lost them; asks nothing more if nobody was ever erased."""
        if not names or not self._was_ever(tx):
            return {}
        hiding = self.hiding(tx)
        hashes = {hiding.name(name): name for name in names}
        rows = self._db.execute(
            tx,
            "SELECT i.name, i.id FROM {k} JOIN identity i ON i.name = k.name",
            k=Keys({"name": "text"}, [(name,) for name in sorted(hashes)]),
        )
        return {hashes[row[0]]: row[1] for row in rows}

    def is_former(self, tx: Connection, person_id: str) -> bool:
        """Whether a person of this id was erased."""
        return bool(self.former(tx, [person_id]))

    def former(self, tx: Connection, person_ids: Sequence[str]) -> set[str]:
        """Those of these ids whose people were erased."""
        if not person_ids or not self._was_ever(tx):
            return set()
        hiding = self.hiding(tx)
        hashes = {hiding.person(person_id): person_id for person_id in person_ids}
        rows = self._db.execute(
            tx,
            "SELECT e.hash FROM {k} JOIN erased_person e ON e.hash = k.hash",
            k=Keys({"hash": "text"}, [(one,) for one in sorted(hashes)]),
        )
        return {hashes[row[0]] for row in rows}

    def person_id(self, tx: Connection, namespace: UUID, root: str) -> UUID:
        """The id of the person who goes by an identity of this name: who comes back after an erasure is somebody else than before."""
        found, life = uuid5(namespace, root), 1
        while self.is_former(tx, str(found)):
            life += 1
            found = uuid5(namespace, f"{root}\0{life}")
        return found

    def _was_ever(self, tx: Connection) -> bool:
        return bool(self._db.execute(tx, "SELECT 1 FROM erasure LIMIT 1"))
