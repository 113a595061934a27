"""Folders that get their name once they are finished and on the disk, so that one of that name is always whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.shared.errors import Unavailable


@contextmanager
def aside(target: Path, doing: str) -> Iterator[Path]:
    """A folder beside the target, for its owner alone; what an interruption left of it is deleted.

    Raises Unavailable if the disk is in the way of what is being done, such as `restored`.
    """
    folder = target.with_name(f".{target.name}.unfinished")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the backup could not be {doing}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def appear(folder: Path, target: Path) -> None:
    """Give a finished folder its name, durably."""
    sync(folder)
    folder.rename(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """What a file holds, or what was made or renamed in a folder, survives a power cut from now on."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
