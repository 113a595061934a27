"""Structured logs: one JSON line an event on standard error. Never personal data: no identities, no bodies, no person_id."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

import msgspec

from schemas.times import format_time
from services.shared.clock import Clock

_LEVELS = ("info", "warning", "error")


class Log:
    """Writes events of `level` and above. `event` is snake_case; fields are numbers, text and lists of them."""

    def __init__(self, room: str, clock: Clock, level: str = "info", stream: TextIO | None = None) -> None:
        self._room, self._clock, self._stream = room, clock, stream
        self._from = _LEVELS.index(level)
        self._lock = threading.Lock()

    def info(self, event: str, **fields: object) -> None:
        self._write(0, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(1, event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write(2, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if level < self._from:
            return
        entry = {"at": format_time(self._clock()), "level": _LEVELS[level], "room": self._room, "event": event, **fields}
        line = msgspec.json.encode(entry).decode()
        with self._lock:
            print(line, file=self._stream or sys.stderr, flush=True)
