"""What was expected and what was found, a line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.box import SIMPLE
from rich.table import Table


class Line(NamedTuple):
    """One comparison. Expected and found are equal or they are not: nothing is rounded."""

    what: str
    expected: object
    found: object

    @property
    def is_right(self) -> bool:
        return self.expected == self.found


def table(lines: Iterable[Line]) -> Table:
    """All lines, with a tick or a cross."""
    shown = Table(title="Answers of the API and the truth of the generator", box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("what")
    shown.add_column("expected", justify="right")
    shown.add_column("found", justify="right")
    shown.add_column("")
    for line in lines:
        mark = "[green]✓[/]" if line.is_right else "[bold red]✗[/]"
        shown.add_row(line.what, _text(line.expected), _text(line.found), mark)
    return shown


def _text(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return " · ".join(_text(part) for part in value)
    return "–" if value is None else str(value)
