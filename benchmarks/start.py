"""Start: from starting `waypost up` until /health/ready answers 200."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.bench import Bench
from benchmarks.child import waypost
from benchmarks.row import Row
from services.cli.client import Service

TIMES, LOOK_S = 5, 0.005


def run(bench: Bench) -> list[Row]:
    """In turn: in a fresh folder, and once more in that folder."""
    fresh, again = [], []
    for _ in range(TIMES):
        settings = bench.settings()
        fresh.append(_started(bench, settings))
        again.append(_started(bench, settings))
    return [_row("in a fresh folder", fresh), _row("with what is there", again)]


def _started(bench: Bench, settings: dict[str, str]) -> tuple[float, float]:
    """Seconds until it is ready, and the CPU seconds that it has used by then."""
    child = waypost(["up"], settings, bench.folder)
    began = time.perf_counter()
    bench.start(child)
    service = Service(child.url)
    while not service.is_ready():
        time.sleep(LOOK_S)
    ready_s = time.perf_counter() - began
    spent_s = child.cpu_s()
    service.close()
    child.stop()
    return ready_s, spent_s


def _row(where: str, times: list[tuple[float, float]]) -> Row:
    ready, spent = zip(*times, strict=True)
    return Row(
        f"start {where}: `waypost up` until it is ready", median(ready), "s", 2, {"least_s": min(ready), "cpu_s": median(spent)}
    )
