"""What a finished backup says about itself. It is written last: a folder without it is no backup."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from services.shared.errors import Misconfigured

NAME = "manifest.json"
FORM = 1
"""Raised when a backup's layout changes."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file, `revision` is that of its tables (databases only)."""

    name: str
    bytes: int
    sha256: str
    revision: str | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`version` is Waypost's, `epoch` the one that versions of facts had; `made_at` is when it was begun."""

    form: int
    id: str
    version: str
    made_at: str
    epoch: int
    files: Sequence[File]


def file_of(path: Path, revision: str | None = None) -> File:
    """A file as it is now."""
    with open(path, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return File(path.name, path.stat().st_size, digest, revision)


def read(folder: Path) -> Manifest:
    """The manifest of a backup all of whose files are as they were made.

    Raises Misconfigured, saying what is wrong, for anything else.
    """
    try:
        found = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise Misconfigured(f"{folder} is no finished backup: it has no {NAME}") from None
    except (OSError, msgspec.DecodeError) as error:
        raise Misconfigured(f"{folder / NAME} cannot be read: {error}") from None
    if found.form != FORM:
        raise Misconfigured(f"{folder} was made by another version of Waypost ({found.version}); restore it with that one")
    for file in found.files:
        _verify(folder, file)
    return found


def _verify(folder: Path, file: File) -> None:
    if Path(file.name).name != file.name:
        raise Misconfigured(f"{folder / NAME} names a file outside of the backup: {file.name!r}")
    try:
        now = file_of(folder / file.name, file.revision)
    except OSError as error:
        raise Misconfigured(f"{folder / file.name} cannot be read: {error.strerror}") from None
    if now != file:
        raise Misconfigured(
            f"{folder / file.name} is not as it was made: {now.bytes} bytes, SHA-256 {now.sha256}; nothing is restored"
        )
