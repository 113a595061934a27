"""`python -m benchmarks [NAME …] [--large]`: measure, print the table, write it to benchmarks/results/latest.json."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bench import Bench
from benchmarks.row import Row
from schemas.times import format_time
from services.shared.clock import system_clock
from tests.parts.server import PartMissing

RESULTS = Path(__file__).with_name("results") / "latest.json"
WIDTH = 170
NAMES = ("ingest_batches", "ingest_single", "stitching", "questions", "freshness", "growth", "memory", "start")


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"which to run: {', '.join(NAMES)}  [default: all]")] = None,
    large: Annotated[bool, typer.Option("--large", help="with up to ten million touchpoints stored; takes hours")] = False,
    most: Annotated[
        int | None, typer.Option("--most", help="with at most so many touchpoints stored, and a tenth of them")
    ] = None,
) -> None:
    """Measure what Waypost must reach, as ratios in one run."""
    wanted = names or list(NAMES)
    if unknown := sorted(set(wanted) - set(NAMES)):
        raise typer.BadParameter(f"there is no {', '.join(unknown)}; there are {', '.join(NAMES)}")
    console, rows, began = _console(), dict[str, list[Row]](), time.monotonic()
    try:
        with Bench(large, most) as bench:
            for name in wanted:
                rows[name] = _measure(name, bench, console)
    except KeyboardInterrupt:
        console.print("Stopped; this is what was measured until then.")
        raise typer.Exit(130) from None
    finally:
        console.print(table(rows))
        _write(rows, large, time.monotonic() - began)


def _measure(name: str, bench: Bench, console: Console) -> list[Row]:
    run: Callable[[Bench], list[Row]] = import_module(f"benchmarks.{name}").run
    began = time.monotonic()
    try:
        with console.status(f"{name} …"):
            return run(bench)
    except PartMissing as missing:
        console.print(f"{name} is left out: {missing}")
        return []
    finally:
        console.print(f"{name}: {time.monotonic() - began:.0f} s")


def _console() -> Console:
    """As wide as the terminal; wide enough for the table where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def table(measured: Mapping[str, Sequence[Row]]) -> Table:
    """The table as printed."""
    shown = Table("what", "measured", "goal", "reached", "beside it (this machine, now)")
    for rows in measured.values():
        for row in rows:
            beside = ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in row.beside.items())
            reached = "[green]yes[/]" if row.is_reached else "[red]no[/]"
            shown.add_row(row.what, f"{row.measured:.3g} {row.unit}", f"≤ {row.goal:g} {row.unit}", reached, beside)
    return shown


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _write(measured: Mapping[str, Sequence[Row]], large: bool, seconds: float) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    report = {
        "measured_at": format_time(system_clock()),
        "python": platform.python_version(),
        "large": large,
        "seconds": round(seconds),
        "rows": [{"benchmark": name, **row.to_json()} for name, rows in measured.items() for row in rows],
    }
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


if __name__ == "__main__":
    typer.run(main)
