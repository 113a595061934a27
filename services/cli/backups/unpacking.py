"""Copies a backup into a new data folder. The folder gets its name when all is done; one that is there is never touched."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.cli.backups.making import appear
from services.cli.backups.manifest import Manifest, read
from services.shared.errors import Misconfigured, Unavailable


@contextmanager
def unpacked(backup: Path, data: Path) -> Iterator[tuple[Path, Manifest]]:
    """A folder aside with the files of a backup, to be made ready; when the block ends without an error it becomes `data`.

    Raises Misconfigured if the backup is not whole or `data` is there, Unavailable if the disk is in the way.
    """
    if data.exists():
        raise Misconfigured(f"{data} is there already; name a new folder (nothing is ever overwritten)")
    manifest = read(backup)
    aside = data.with_name(f".{data.name}.unfinished")
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        for file in manifest.files:
            shutil.copy(backup / file.name, aside / file.name)
        _leave_groups(aside / "bus.db")
        yield aside, manifest
        for path in aside.iterdir():
            with open(path, "rb") as opened:
                os.fsync(opened.fileno())
        appear(aside, data)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the backup could not be restored: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _leave_groups(bus: Path) -> None:
    """Whoever was consuming when the backup was made does not hold partitions any more."""
    with closing(sqlite3.connect(bus)) as connection, connection:
        connection.execute("DELETE FROM members")
        connection.execute("DELETE FROM shares")
