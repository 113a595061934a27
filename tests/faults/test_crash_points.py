"""kill -9 at each named point between "record read" and "position committed", and between "committed" and "published".

`--crashes 5` goes through all points so many times, dying at later and later passings.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.account import Account
from tests.faults.crashing import POINTS
from tests.faults.service import Service, distributed, embedded, service
from tests.parts.installation import Installation
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres
from tests.parts.processes import Process


@pytest.fixture
def crashes(pytestconfig: pytest.Config) -> int:
    count: int = pytestconfig.getoption("--crashes")
    return count


def test_embedded(crashes: int, tmp_path: Path) -> None:
    with embedded(tmp_path) as at:
        _die_everywhere(at, crashes)


def test_distributed(crashes: int, kafka: Kafka, postgres: Postgres, tmp_path: Path) -> None:
    with distributed(kafka, postgres.new_database(), tmp_path) as at:
        _die_everywhere(at, crashes)


def _die_everywhere(at: Installation, crashes: int) -> None:
    """Each process goes from death to death, all at the same time: it is started again at once, to die at the next point."""
    account, deaths = Account(at), {process: list[tuple[str, int]]() for process in at.processes}
    for number in range(1, crashes + 1):
        for point in POINTS:
            deaths[_comes_to(at, point)].append((point, number))
    account.send()
    for process in at.processes:
        process.stop()
    with account.sending(), ThreadPoolExecutor(len(deaths)) as pool:
        for died in [pool.submit(_die_at, service(process), points) for process, points in deaths.items()]:
            died.result()
    account.settle()


def _die_at(process: Service, points: Sequence[tuple[str, int]]) -> None:
    for point, number in points:
        process.start_to_die(point, number)
        process.died()
    process.start()


def _comes_to(at: Installation, point: str) -> Process:
    """The process that passes a point."""
    room = point.partition(".")[0]
    return {"ingest": at.ingests, "metrics": at.metrics}.get(room, at.journeys)[0]
