"""Memory: what `waypost up` holds with many touchpoints stored, after it has taken some and answered every question."""

from __future__ import annotations

import msgspec

from benchmarks.bench import KEY, Bench
from benchmarks.child import waypost
from benchmarks.questions import questions
from benchmarks.row import Row
from benchmarks.workload import deliveries
from schemas import tokens
from services.cli.client import Service

TAKEN, SIZE = 5_000, 100


def run(bench: Bench) -> list[Row]:
    """The stores are filled beforehand; the service is started on them."""
    stored = bench.sizes[1]
    settings = bench.settings() | {"WAYPOST_DATA": str(bench.filled("sqlite", stored).where)}
    child = bench.start(waypost(["up"], settings, bench.folder))
    begins_mib, _ = child.memory_mib()
    service = Service(child.url)
    touchpoints = [msgspec.json.encode(body) for _, body in deliveries(TAKEN, world="memory")]
    receipts = [service.send(KEY, touchpoints[first : first + SIZE]) for first in range(0, len(touchpoints), SIZE)]
    reached = tokens.encode((*place, offset) for receipt in receipts for place, offset in tokens.decode(receipt.token).items())
    for path in questions():
        service.get(path, after=reached)
    service.close()
    now_mib, most_mib = child.memory_mib()
    child.stop()
    beside = {"after_the_start_mib": begins_mib, "the_most_mib": most_mib}
    return [Row(f"memory of `waypost up` with {stored:,} touchpoints stored: resident", now_mib, "MiB", 250, beside)]
