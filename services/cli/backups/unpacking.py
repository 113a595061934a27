"""Copies a backup into a new data folder. The folder gets its name when all is done; one that is there is never touched."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.cli.backups.folders import appear, aside, sync
from services.cli.backups.manifest import Manifest, read
from services.shared.errors import Misconfigured


@contextmanager
def unpacked(backup: Path, data: Path) -> Iterator[tuple[Path, Manifest]]:
    """A folder aside with the files of a backup, to be made ready; when the block ends without an error it becomes `data`.

    Raises Misconfigured if the backup is not whole or `data` is there, Unavailable if the disk is in the way.
    """
    if data.exists():
        raise Misconfigured(f"{data} is there already; name a new folder (nothing is ever overwritten)")
    manifest = read(backup)
    with aside(data, "restored") as folder:
        for file in manifest.files:
            shutil.copy(backup / file.name, folder / file.name)
        _leave_groups(folder / "bus.db")
        yield folder, manifest
        for path in folder.iterdir():
            sync(path)
        appear(folder, data)


def _leave_groups(bus: Path) -> None:
    """Whoever was consuming when the backup was made does not hold partitions any more."""
    with closing(sqlite3.connect(bus)) as connection, connection:
        connection.execute("DELETE FROM members")
        connection.execute("DELETE FROM shares")
