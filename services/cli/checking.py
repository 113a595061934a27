"""`waypost check`: has the rooms of a running service recount what they keep, and prints what differs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from services.cli.client import ASK_S, Service
from services.cli.entry import say
from services.shared.errors import Unavailable

ROOMS = ("journey", "metrics")
SHOWN = 500
"""Rows of the table at most; what is beyond is counted, and told in full with --json."""


def check_rooms(url: str, token: str, everybody: bool, console: Console) -> bool:
    """Whether nothing differs. Shows progress, then the differences as a table."""
    differing = 0
    found = Table("room", "person", "what", "expected", "found", title="Differences", show_lines=True)
    for room in ROOMS:
        columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} checked"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(f"{room}:")
            for line in _lines(url, token, room, everybody):
                if "difference" in line and found.row_count < SHOWN:
                    one = line["difference"]
                    found.add_row(room, *(_text(one[name]) for name in ("person_id", "what", "expected", "found")))
                if "checked" in line:
                    progress.update(task, completed=line["checked"])
                if "mismatches" in line:
                    differing += line["mismatches"]
                    console.print(f"{room}: {line['checked']:,} checked, {line['mismatches']:,} differ")
    if found.row_count:
        console.print(found)
    return differing == 0


def tell_rooms(url: str, token: str, everybody: bool) -> bool:
    """The same as JSON lines: each difference with its room, then what each room comes to."""
    differing = 0
    for room in ROOMS:
        for line in _lines(url, token, room, everybody):
            if "difference" in line:
                say(msgspec.json.encode({"room": room, **line["difference"]}).decode())
            elif "mismatches" in line:
                differing += line["mismatches"]
                say(msgspec.json.encode({"room": room, "checked": line["checked"], "mismatches": line["mismatches"]}).decode())
    return differing == 0


def _lines(url: str, token: str, room: str, everybody: bool) -> Iterator[dict[str, Any]]:
    with closing(Service(url, token, ASK_S)) as service:
        last: dict[str, Any] = {}
        for last in service.lines(f"/v1/check/{room}", {"sample": "all"} if everybody and room == "journey" else None):
            if "error" in last:
                raise Unavailable(f"the check of {room} could not be finished: {last['error']}")
            yield last
        if "mismatches" not in last:
            raise Unavailable(f"the check of {room} ended before it was finished")


def _text(value: object) -> Text:
    text = "" if value is None else str(value)
    return Text(text if len(text) <= 200 else f"{text[:200]}…")
