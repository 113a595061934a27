"""What `waypost import` does: read, send, say what was refused."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from services.cli.client import Receipt, Service
from services.cli.importing import lines, maps
from services.cli.importing.reading import Ready, Refused, touchpoints
from services.cli.sending import MAX_BYTES, MAX_ITEMS, Sender
from services.shared.errors import Misconfigured, Unavailable

SHOWN = 20
"""Refused lines that are listed; all of them go to the rejects file."""


@dataclass
class Imported:
    """`token` stands for everything that was accepted."""

    accepted: int = 0
    refused: int = 0
    examples: list[Refused] = field(default_factory=list)
    token: str = ""


class Import:
    """One run over one file. `rejects` takes every refused line as CSV: line, code, message."""

    def __init__(self, sender: Sender, key: str, rejects: Path | None) -> None:
        self._sender, self._key, self._rejects = sender, key, rejects
        self.imported = Imported()
        self._lock = threading.Lock()

    def run(self, source: lines.Input, found: maps.Map | None, progress: Progress) -> Imported:
        task = progress.add_task(source.path.name, total=source.size, accepted="0", refused="0")
        with ExitStack() as stack:
            write = self._writer(stack)
            for batch in _batched(touchpoints(source, found)):
                ready = [one for one in batch if isinstance(one, Ready)]
                self._note([one for one in batch if isinstance(one, Refused)], write)
                if ready:
                    self._sender.send(self._key, [one.body for one in ready], self._taker(ready, write))
                counts = self.imported
                progress.update(task, completed=source.position, accepted=f"{counts.accepted:,}", refused=f"{counts.refused:,}")
            self.imported.token = self._sender.finish()
        progress.update(task, completed=source.size, accepted=f"{self.imported.accepted:,}", refused=f"{self.imported.refused:,}")
        return self.imported

    def _writer(self, stack: ExitStack) -> Any:
        if self._rejects is None:
            return None
        try:
            writer = csv.writer(stack.enter_context(self._rejects.open("w", newline="", encoding="utf-8")))
        except OSError as error:
            raise Misconfigured(f"{self._rejects} cannot be written: {error.strerror}") from None
        writer.writerow(Refused._fields)
        return writer

    def _taker(self, ready: list[Ready], write: Any) -> Any:
        def take(receipt: Receipt) -> None:
            with self._lock:
                self.imported.accepted += receipt.accepted
            self._note([Refused(ready[one.item].line, one.code, one.message) for one in receipt.refused], write)

        return take

    def _note(self, refused: list[Refused], write: Any) -> None:
        with self._lock:
            self.imported.refused += len(refused)
            self.imported.examples += refused[: max(SHOWN - len(self.imported.examples), 0)]
            if write is not None:
                write.writerows(refused)


def import_file(
    path: Path, map_path: Path | None, url: str, key: str, rejects: Path | None = None, console: Console | None = None
) -> Imported:
    """Import a whole file into a running service. Raises Misconfigured for a wrong file or map, Unavailable without a service."""
    found = maps.load(map_path) if map_path else None
    if found is None and any(suffix in (".csv", ".tsv", ".txt") for suffix in path.suffixes):
        raise Misconfigured(f"{path} is a table, so it needs --map MAP.toml, which says what its columns mean")
    service = Service(url)
    try:
        if not service.is_ready():
            raise Unavailable(f"no Waypost is ready at {service.url}; start one with `waypost up`")
    finally:
        service.close()
    with lines.opened(path) as source, _progress(console) as progress:
        sender = Sender(url)
        try:
            return Import(sender, key, rejects).run(source, found, progress)
        except BaseException:
            sender.abandon()
            raise


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[accepted]} accepted, {task.fields[refused]} refused"),
        TimeElapsedColumn(),
        console=console,
    )


def _batched(found: Iterator[Ready | Refused]) -> Iterator[list[Ready | Refused]]:
    """So many lines at a time that their touchpoints fit one request."""
    while batch := list(islice(found, MAX_ITEMS)):
        part: list[Ready | Refused] = []
        size = 0
        for one in batch:
            grows = len(one.body) + 1 if isinstance(one, Ready) else 0
            if part and size + grows > MAX_BYTES:
                yield part
                part, size = [], 0
            part.append(one)
            size += grows
        yield part


def report(imported: Imported, rejects: Path | None, console: Console) -> None:
    """What came of it, and the first of the refused lines."""
    console.print(f"{imported.accepted:,} touchpoints accepted, {imported.refused:,} lines refused")
    for one in imported.examples:
        console.print(f"  line {one.line:,}: {one.message} ({one.code})", markup=False)
    if imported.refused > len(imported.examples):
        console.print(
            f"  and {imported.refused - len(imported.examples):,} more" + ("" if rejects else "; --rejects FILE lists them all")
        )
    if rejects is not None and imported.refused:
        console.print(f"All refused lines are in {rejects}", markup=False)
