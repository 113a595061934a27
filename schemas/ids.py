"""Ids that Waypost makes itself. Randomness and time come from the caller."""

from __future__ import annotations

from collections.abc import Callable

NewId = Callable[[int], str]
"""The id of the touchpoint at this index of a request."""


def timed(now_us: int, random: Callable[[int], bytes]) -> NewId:
    """UUIDv7 (RFC 9562): the millisecond of receipt, then 74 random bits."""
    head = (now_us // 1000).to_bytes(6, "big").hex()
    prefix = f"{head[:8]}-{head[8:]}-7"

    def new_id(_: int) -> str:
        tail = bytearray(random(10))
        tail[2] = tail[2] & 0x3F | 0x80
        text = tail.hex()
        return f"{prefix}{text[1:4]}-{text[4:8]}-{text[8:]}"

    return new_id
