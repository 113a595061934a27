"""`waypost simulate`: a generated year's touchpoints, sent one after the other as if they happened now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count as numbers
from itertools import islice
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.cli.client import Service
from services.cli.simulate.story import DAY_US
from services.cli.simulate.year import generate
from services.shared.errors import Rejected

PULSES_S = 5
"""Requests a second, at most; a higher rate makes larger ones."""


def send_live(url: str, key: str, rate: float, people: int, seed: int, count: int | None, console: Console) -> None:
    """Send until `count` is reached or Ctrl-C."""
    size = max(1, round(rate / PULSES_S))
    bodies = islice(_forever(people, seed), count)
    service = Service(url)
    sent = 0
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("Starting", total=None)
            began = time.monotonic()
            while batch := [msgspec.json.encode(body) for body in islice(bodies, size)]:
                receipt = service.send(key, batch)
                for refused in receipt.refused:
                    raise Rejected(refused.code, refused.message)
                sent += len(batch)
                progress.update(task, description=f"{sent:,} touchpoints sent to {service.url}")
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    except KeyboardInterrupt:
        console.print("Stopped")
    finally:
        service.close()


def _forever(people: int, seed: int) -> Iterator[dict[str, Any]]:
    """Year after year of new people; what happens has no time of its own, so the service takes the time it comes."""
    for year in numbers():
        for source, body in generate(people, 20 * people, seed + year, 20_000 * DAY_US).deliveries:
            live = {**body, "id": f"{seed + year:x}-{body['id']}", "identities": _new(body["identities"], seed + year)}
            live.setdefault("properties", {})
            live["properties"] = {**live["properties"], "reported_by": source}
            del live["occurred_at"]
            yield live


def _new(identities: dict[str, str], run: int) -> dict[str, str]:
    """People of another run are others; there are not enough telephone numbers for that."""
    return {name: f"{run:x}.{value}" for name, value in identities.items() if name != "phone"}
