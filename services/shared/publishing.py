"""Waiting until the bus holds what was published."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from services.shared.bus import Position
from services.shared.errors import Unavailable

TIMEOUT_S = 30.0


def held(publishing: Future[list[Position]], what: str, timeout_s: float = TIMEOUT_S) -> Sequence[Position]:
    """Where the records are, once the bus holds all of them durably. Blocks. Raises Unavailable, naming `what`, if that can't be said."""
    try:
        return publishing.result(timeout_s)
    except TimeoutError:
        raise Unavailable(f"the bus does not take {what}") from None
