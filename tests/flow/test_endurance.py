"""Nothing lost, nothing twice: touchpoints are sent while processes are killed with -9 at random, and broker and database are restarted.

5,000 of them, or as many as `--touchpoints` says; every kill follows from the seed and from how many were acknowledged by then.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from tests.parts import installation
from tests.parts.installation import (
    KEYS,
    PATIENCE_S,
    Installation,
    Request,
    ask,
    check,
    ids_of,
    requests_of,
    send_all,
    small_year,
)
from tests.parts.kafka import PROPERTIES, Kafka
from tests.parts.needed import lacking
from tests.parts.postgres import Postgres
from tests.parts.processes import Process
from tests.parts.server import PartMissing

SEED = 20_261_122
SIZE = 25
"""Touchpoints in a request: small, so that a kill finds many of them under way."""
TOUCHPOINTS_A_KILL = 1000
UNDER_WAY = 4 * SIZE
"""What may be acknowledged beyond the number at which something happens: requests are under way when it does."""
SOURCE_OF = {key: source for source, key in KEYS.items()}
EVER = {"from": "2023-01-01", "to": "2026-01-01", "grain": "none"}


@dataclass
class Acknowledged:
    """What was acknowledged so far. Disturbances wait on it for a number; senders wait, too, so that they are never done before."""

    ids: set[tuple[str, str]] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)
    limit: float = math.inf

    def add(self, request: Request) -> None:
        key, touchpoints = request
        with self.changed:
            self.ids |= {(SOURCE_OF[key], id) for id in ids_of(touchpoints)}
            self.changed.notify_all()

    def let_go_on(self, limit: float) -> None:
        """Nothing more is sent once so many are acknowledged."""
        with self.changed:
            self.limit = limit
            self.changed.notify_all()

    def wait_for_leave(self) -> None:
        """Return once something may be sent."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.ids) < self.limit, PATIENCE_S), f"stuck before {self.limit}"

    def wait_for(self, count: int) -> None:
        """Return once so many were acknowledged."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.ids) >= count, PATIENCE_S), f"stuck at {len(self.ids)} of {count}"


@dataclass(frozen=True)
class Disturbance:
    """What happens once `after` touchpoints are acknowledged."""

    after: int
    name: str
    happen: Callable[[], None]


@pytest.fixture
def touchpoints(pytestconfig: pytest.Config) -> int:
    count: int = pytestconfig.getoption("--touchpoints")
    return count


@pytest.fixture
def broker() -> Iterator[Kafka]:
    try:
        kafka = Kafka(PROPERTIES)
        kafka.start()
    except PartMissing as error:
        lacking(str(error))
    with closing(kafka):
        yield kafka


def test_distributed(touchpoints: int, broker: Kafka, postgres: Postgres, tmp_path: Path) -> None:
    """Two processes of each room; the broker is killed once and started again, the database stopped once and started again."""
    with installation.distributed(broker.bootstrap, postgres.new_database(), 2, tmp_path) as at:
        disturbances = [
            *_kills(at.processes, touchpoints),
            Disturbance(touchpoints // 3, "broker", partial(_restart, broker.kill9, broker.start)),
            Disturbance(touchpoints * 2 // 3, "database", partial(_restart, postgres.stop, postgres.start)),
        ]
        _endure(at, touchpoints, disturbances)


def test_embedded(touchpoints: int, tmp_path: Path) -> None:
    """Everything in one process, killed as a whole."""
    with installation.embedded(tmp_path) as at:
        _endure(at, touchpoints, _kills(at.processes, touchpoints))


def _kills(processes: Sequence[Process], touchpoints: int) -> list[Disturbance]:
    """One process at a time, any of them at any moment; the process is started again at once."""
    rng = Random(SEED)
    kills = []
    for _ in range(max(len(processes), touchpoints // TOUCHPOINTS_A_KILL)):
        victim = rng.choice(processes)
        kills.append(Disturbance(rng.randrange(touchpoints * 9 // 10), victim.name, partial(_kill, victim)))
    return kills


def _kill(victim: Process) -> None:
    victim.kill9()
    victim.start_again()


def _restart(stop: Callable[[], None], start: Callable[[], None]) -> None:
    stop()
    start()


def _endure(at: Installation, touchpoints: int, disturbances: Sequence[Disturbance]) -> None:
    """Send everything, whatever happens meanwhile; then hold what is there against what was acknowledged."""
    requests, acknowledged, began = requests_of(small_year(touchpoints, SEED), SIZE), Acknowledged(), monotonic()
    planned = {(SOURCE_OF[key], id) for key, bodies in requests for id in ids_of(bodies)}
    in_order = sorted(disturbances, key=lambda each: each.after)
    acknowledged.let_go_on(in_order[0].after + UNDER_WAY)
    with ThreadPoolExecutor(1) as pool:
        disturbing = pool.submit(_disturb, in_order, acknowledged)
        token = send_all(at.ingests, requests, acknowledged.add, before=acknowledged.wait_for_leave, seed=SEED)
        disturbing.result()
    sent_s = monotonic() - began

    ask(at.journeys[-1], "/v1/journeys", {"limit": 1}, token)
    counted = ask(at.metrics[0], "/v1/kpis/touchpoints", EVER, token)["rows"]
    settled_s = monotonic() - began
    assert acknowledged.ids == planned
    assert Counter(at.stored()) == Counter(acknowledged.ids)
    assert [row["value"] for row in counted] == [len(acknowledged.ids)]
    for room, process in (("journey", at.journeys[-1]), ("metrics", at.metrics[-1])):
        checked, mismatches, examples = check(process, room)
        assert (mismatches, examples) == (0, [])
        assert checked > 0
    happened = ", ".join(f"{count} × {name}" for name, count in sorted(Counter(each.name for each in disturbances).items()))
    print(
        f"\n{len(planned):,} touchpoints acknowledged in {sent_s:.0f} s, all counted after {settled_s:.0f} s, through {happened}"
    )


def _disturb(disturbances: Sequence[Disturbance], acknowledged: Acknowledged) -> None:
    """One after the other; while one lasts, sending goes on, up to a little beyond the next."""
    limits = [*(each.after + UNDER_WAY for each in disturbances[1:]), math.inf]
    for each, limit in zip(disturbances, limits, strict=True):
        acknowledged.wait_for(each.after)
        acknowledged.let_go_on(limit)
        each.happen()
