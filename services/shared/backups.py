"""Which backups were made of an installation: a file in its data folder, so that an erasure's receipt can name them.

One JSON object a line: `id`, `place` (the folder it was written to) and `made_at`. Backups of PostgreSQL are made by other tools and
are not in it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from services.shared.errors import Unavailable

FILE = "backups.ndjson"


class Backup(msgspec.Struct, frozen=True):
    """A backup that was begun, at `place` on the machine that made it; it may not have been finished, or have been moved or deleted since."""

    id: str
    place: str
    made_at: str


def made(data: Path) -> Sequence[Backup]:
    """All backups of the installation in this folder, and of those it was restored from, the oldest first.

    A line that was cut off as it was written stands for no backup: none begins before its line is kept.
    """
    try:
        lines = (data / FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with suppress(msgspec.DecodeError):
            found.append(msgspec.json.decode(line, type=Backup))
    return found


def remember(data: Path, backup: Backup) -> None:
    """Add one, durably, before anything is copied: what is erased from then on may be in it."""
    with open(data / FILE, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # what was cut off must not take this one with it
                file.write(b"\n")
        file.write(msgspec.json.encode(backup) + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def one_at_a_time(data: Path) -> Iterator[None]:
    """Only one backup is made at a time. Raises Unavailable while another is."""
    with open(data / FILE, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"another backup of {data} is being made") from None
        yield
