"""Copies the files of an embedded installation while it runs: each as it was at one moment.

What follows is copied before what it follows from – metrics, journey, ingest, and the bus last – so that no position lies ahead of
the bus. The copy is made aside and renamed when everything is on the disk; a folder of the name that was asked for is a whole backup.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import msgspec

from schemas.times import format_time
from services.cli.backups.folders import appear, aside, sync
from services.cli.backups.manifest import FORM, NAME, File, Manifest, file_of
from services.shared import backups
from services.shared.clock import Clock
from services.shared.errors import Misconfigured

DATABASES = ("metrics.db", "journey.db", "ingest.db", "bus.db")
"""In the order of copying."""
PRIVATE = "write-key"
PAGES = 2_000
"""Copied between two looks at Ctrl-C."""
Progress = Callable[[int, int], None]
"""Told (bytes copied, of how many)."""


def back_up(
    data: Path, target: Path, epoch_of: Callable[[sqlite3.Connection], int], clock: Clock, on_progress: Progress
) -> Manifest:
    """Make the backup `target`, a new folder.

    Raises Misconfigured if it is there or there is nothing to back up, Unavailable if the disk or another backup is in the way.
    """
    missing = [name for name in DATABASES if not (data / name).exists()]
    if missing:
        raise Misconfigured(f"{data} holds no installation: {', '.join(missing)} is missing")
    if target.exists():
        raise Misconfigured(f"{target} is there already; name a new folder")
    with backups.one_at_a_time(data), aside(target, "made") as folder:
        begun = backups.Backup(uuid.uuid4().hex, str(target.absolute()), format_time(clock()))
        backups.remember(data, begun)
        progress = _Counted(sum((data / name).stat().st_size for name in DATABASES), on_progress)
        files = [_copy(data / name, folder / name, progress) for name in DATABASES]
        files += [_copied_plainly(data / name, folder / name) for name in (backups.FILE, PRIVATE) if (data / name).exists()]
        with closing(sqlite3.connect(f"file:{folder / 'journey.db'}?immutable=1", uri=True)) as journey:
            epoch = epoch_of(journey)
        manifest = Manifest(FORM, begun.id, version("waypost"), begun.made_at, epoch, files)
        _write(folder / NAME, msgspec.json.format(msgspec.json.encode(manifest)))
        appear(folder, target)
    return manifest


class _Counted:
    """Adds up what is copied of several files."""

    def __init__(self, total: int, on_progress: Progress) -> None:
        self.done, self.total, self._on_progress = 0, total, on_progress

    def at(self, bytes_of_file: int) -> None:
        self._on_progress(self.done + bytes_of_file, max(self.total, self.done + bytes_of_file))


def _copy(source: Path, target: Path, progress: _Counted) -> File:
    """One database as it is when its turn comes. The transaction held open keeps that moment, so writers never make it begin anew."""
    with closing(sqlite3.connect(source, isolation_level=None)) as old, closing(sqlite3.connect(target)) as new:
        old.execute("BEGIN")
        (page_bytes,) = old.execute("PRAGMA page_size").fetchone()
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()
        old.backup(new, pages=PAGES, progress=lambda _, left, total: progress.at((total - left) * page_bytes))
        revision = _revision(old)
        old.execute("COMMIT")
    sync(target)
    progress.done += target.stat().st_size
    return file_of(target, revision)


def _revision(connection: sqlite3.Connection) -> str:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    return str(connection.execute("PRAGMA user_version").fetchone()[0])


def _copied_plainly(source: Path, target: Path) -> File:
    _write(target, source.read_bytes())
    return file_of(target)


def _write(target: Path, content: bytes) -> None:
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
