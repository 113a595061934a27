"""The demonstration: generate, start, send, wait, compare, report, and serve on until Ctrl-C."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.cli.client import Receipt, Service
from services.cli.demo.child import Child, serving
from services.cli.demo.compare import Line, table
from services.cli.demo.figures import Figures
from services.cli.sending import Sender
from services.cli.simulate.story import DAY_US
from services.cli.simulate.truth import tell_the_truth
from services.cli.simulate.year import SOURCES, Year, batches, generate
from services.shared.errors import Rejected

WINDOW, SIZE = 1500, 300
"""Arrivals that are sorted into requests at a time, and the most touchpoints in one request."""
CONNECTIONS = 4
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Plan:
    """How large the year is, and where it is shown."""

    people: int = 5_000
    touchpoints: int = 100_000
    seed: int = 1
    port: int = 0
    stays: bool = True


def demonstrate(plan: Plan, console: Console) -> bool:
    """Whether every answer was right."""
    today_us = time.time_ns() // 1000 // DAY_US * DAY_US
    with console.status(f"Generating a year of {plan.people:,} people …"):
        year = generate(plan.people, plan.touchpoints, plan.seed, today_us)
        truth = tell_the_truth(year)
    with tempfile.TemporaryDirectory(prefix="waypost-demo-") as folder, serving(Path(folder), SOURCES, plan.port) as child:
        console.print(f"A fresh service answers at [bold]{child.url}[/]")
        token, applied_s = _send(year, child, console)
        service = Service(child.url, wait_s=PATIENCE_S)
        try:
            figures = Figures(service, truth, year.calendar, token)
            lines = list(figures.lines())
            console.print(table(lines))
            console.print(_stages(figures.stage_table()))
        finally:
            service.close()
        is_right = all(line.is_right for line in lines)
        _conclude(lines, len(year.deliveries) / applied_s, console)
        if plan.stays:
            _stay(child, console)
    return is_right


def _send(year: Year, child: Child, console: Console) -> tuple[str, float]:
    """Everything through the HTTP API; returns the token of it all, and the seconds until it was in every answer."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    sender = Sender(child.url, CONNECTIONS)
    began = time.perf_counter()
    try:
        with Progress(*columns, console=console) as progress:
            sending = progress.add_task("Sending touchpoints", total=len(year.deliveries))

            def done(receipt: Receipt) -> None:
                for refused in receipt.refused:
                    raise Rejected(refused.code, refused.message)
                progress.advance(sending, receipt.items)

            for source, bodies in batches(year.deliveries, WINDOW, SIZE):
                sender.send(child.keys[source], [msgspec.json.encode(body) for body in bodies], done)
            token = sender.finish()
            applying = progress.add_task("Waiting until all of it counts", total=1)
            service = Service(child.url, wait_s=PATIENCE_S)
            service.get("/v1/stages", _some_period(year), token)
            service.close()
            progress.advance(applying)
    except BaseException:
        sender.abandon()
        raise
    return token, time.perf_counter() - began


def _some_period(year: Year) -> dict[str, str]:
    day = time.strftime("%Y-%m-%d", time.gmtime(year.calendar.since_us / 1e6))
    after = time.strftime("%Y-%m-%d", time.gmtime((year.calendar.since_us + DAY_US) / 1e6))
    return {"from": day, "to": after}


def _stages(answer: dict[str, list[dict[str, object]]]) -> Table:
    shown = Table(title="The five stages: new journeys of the year", box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("stage", "touchpoints", "touched", "reached", "conv.", "dropped", "now", "skipped"):
        shown.add_column(column, justify="left" if column == "stage" else "right")
    for row in answer["stages"]:
        conversion = row["conversion"]
        shown.add_row(
            str(row["stage"]),
            *(f"{row[name]:,}" for name in ("touchpoints", "touched", "reached")),
            f"{100 * conversion:.1f} %" if isinstance(conversion, (int, float)) else "",
            *(f"{row[name]:,}" for name in ("dropped", "in_stage_now", "skipped")),
        )
    return shown


def _conclude(lines: list[Line], per_second: float, console: Console) -> None:
    wrong = sum(not line.is_right for line in lines)
    said = f"[bold red]{wrong} of {len(lines)} answers are wrong[/]" if wrong else f"[green]all {len(lines)} answers are right[/]"
    console.print(f"{per_second:,.0f} touchpoints a second, sent, stitched and counted; {said}")


def _stay(child: Child, console: Console) -> None:
    console.print(f"Look around at [bold]{child.url}[/] (API: {child.url}/docs); Ctrl-C ends it and deletes its data")
    try:
        child.process.wait()
    except KeyboardInterrupt:
        console.print("Stopping …")
