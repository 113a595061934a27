"""The write key that an embedded installation starts with: made once, kept in DIR/write-key for its owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from services.ingest.store.sources import KEY, Source, Sources, new_key
from services.shared.errors import Misconfigured

FILE = "write-key"
SOURCE = Source("default", "default")


class FirstKey(NamedTuple):
    """`is_new`: it was made just now, so that somebody should be told."""

    key: str
    is_new: bool


def first_key(folder: Path, sources: Sources) -> FirstKey:
    """The key in the file, made if there is none, and registered for the source `default` (unless it was revoked).

    Safe when several processes start at once. Raises Misconfigured if the file holds something else.
    """
    key, is_new = _make(folder / FILE)
    sources.add(SOURCE, key)
    return FirstKey(key, is_new)


def _make(file: Path) -> tuple[str, bool]:
    """Written aside and linked into place, so that nobody ever reads half a file."""
    if not file.exists():
        key = new_key()
        aside = file.with_name(f".{FILE}-{os.getpid()}")
        aside.unlink(missing_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(key + "\n")
        try:
            os.link(aside, file)
            return key, True
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    key = file.read_text(encoding="utf-8").strip()
    if not KEY.fullmatch(key):
        raise Misconfigured(f"{file} holds no write key; put one in (c and at least 24 letters and digits) or delete it")
    return key, False
