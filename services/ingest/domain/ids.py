"""Ids for touchpoints that came without one. Randomness and time come from the caller."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID

NewId = Callable[[int], str]
"""The id of the touchpoint at this index of a request."""
_KEYED = UUID("6f1f1c0e-33a1-5f6b-9c39-0a2f4d1f5e55").bytes


def timed(received_us: int, random: Callable[[int], bytes]) -> NewId:
    """UUIDv7 (RFC 9562): the millisecond of receipt, then 74 random bits."""
    head = (received_us // 1000).to_bytes(6, "big").hex()
    prefix = f"{head[:8]}-{head[8:]}-7"

    def new_id(_: int) -> str:
        tail = bytearray(random(10))
        tail[2] = tail[2] & 0x3F | 0x80
        text = tail.hex()
        return f"{prefix}{text[1:4]}-{text[4:8]}-{text[8:]}"

    return new_id


def keyed(source: str, key: str) -> NewId:
    """UUIDv5 of source, Idempotency-Key and index: the same request again gives the same ids."""
    stem = f"{source}\0{key}\0".encode()

    def new_id(index: int) -> str:
        digest = hashlib.sha1(_KEYED + stem + str(index).encode(), usedforsecurity=False).digest()
        return str(UUID(bytes=digest[:16], version=5))

    return new_id
