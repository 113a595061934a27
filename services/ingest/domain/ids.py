"""Ids for touchpoints that came without one, where the request says which request it is (else see `schemas.ids`)."""

from __future__ import annotations

import hashlib
from uuid import UUID

from schemas.ids import NewId

_KEYED = UUID("6f1f1c0e-33a1-5f6b-9c39-0a2f4d1f5e55").bytes


def keyed(source: str, key: str) -> NewId:
    """UUIDv5 of source, Idempotency-Key and index: the same request again gives the same ids."""
    stem = f"{source}\0{key}\0".encode()

    def new_id(index: int) -> str:
        digest = hashlib.sha1(_KEYED + stem + str(index).encode(), usedforsecurity=False).digest()
        return str(UUID(bytes=digest[:16], version=5))

    return new_id
