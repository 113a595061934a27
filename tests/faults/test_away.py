"""A database that refuses connections, a broker that is gone, processes that stand still for longer than their session lasts.

`--away 30` keeps broker and database away for 30 seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.faults.account import Account
from tests.faults.armed import SESSION_S
from tests.faults.service import Service, distributed, embedded, service, until
from tests.parts.gate import Gate
from tests.parts.installation import PATIENCE_S, Installation
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres


@pytest.fixture
def away_s(pytestconfig: pytest.Config) -> float:
    seconds: float = pytestconfig.getoption("--away")
    return seconds


@pytest.fixture(scope="module")
def gate(postgres: Postgres) -> Iterator[Gate]:
    gate = Gate(make_url(postgres.url).port or 5432)
    yield gate
    gate.shut()


@pytest.fixture(scope="module")
def at(kafka: Kafka, postgres: Postgres, gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Two processes of each consuming room, with their database behind a gate."""
    database = make_url(postgres.new_database()).set(port=gate.port).render_as_string(False)
    copies = {"journey": 2, "metrics": 2}
    with distributed(kafka, database, tmp_path_factory.mktemp("away"), copies) as at:
        yield at


@pytest.fixture(scope="module")
def account(at: Installation) -> Account:
    return Account(at)


def test_a_database_that_refuses_connections(at: Installation, account: Account, gate: Gate, away_s: float) -> None:
    """Ingest goes on acknowledging: what it needs of the database it has read; the others say what is away, and catch up."""
    rooms = [service(process) for process in (*at.journeys, *at.metrics)]
    account.send()
    account.settle()
    gate.shut()
    for process in rooms:
        until(partial(_is_away, process), process.health)
    account.send(requests=5)
    threading.Event().wait(away_s)
    account.send(requests=5)
    gate.open()
    account.settle()
    for process in rooms:
        process.ready()


def test_a_broker_that_is_gone(at: Installation, account: Account, kafka: Kafka, away_s: float) -> None:
    """Ingest answers 503 and when to come again; whatever was acknowledged is there when the broker is back."""
    account.send()
    with account.sending():
        kafka.kill9()
        status, retry_after = until(account.refused, "ingest acknowledges without a broker".format)
        threading.Event().wait(away_s)
        kafka.start()
    assert (status, retry_after > 0) == (503, True)
    account.settle()
    for process in at.processes:
        service(process).ready()


@pytest.mark.parametrize("points", [("journey.applied", "metrics.applied"), ("relay.read", "metrics.read")], ids=" and ".join)
def test_processes_that_stand_still_and_come_back(at: Installation, account: Account, points: tuple[str, str]) -> None:
    """Others take over meanwhile, and everything is counted; what they go on with when they come back has no effect."""
    sleepers = [service(at.journeys[0]), service(at.metrics[0])]
    for sleeper, point in zip(sleepers, points, strict=True):
        sleeper.kill9()
        sleeper.start_to_freeze(point)
    while not all(sleeper.is_frozen(0.2) for sleeper in sleepers):
        account.send(5)
    account.send()
    account.settle(replace(at, journeys=at.journeys[1:], metrics=at.metrics[1:]))
    for sleeper in sleepers:
        sleeper.thaw()
        sleeper.ready()
    account.send()
    account.settle()


def test_an_embedded_installation_that_stands_still(tmp_path: Path) -> None:
    """For longer than its session lasts, in the middle of a batch: it takes up its own partitions again."""
    with embedded(tmp_path) as at:
        account, process = Account(at), service(at.processes[0])
        process.kill9()
        process.start_to_freeze("journey.applied")
        with account.sending():
            assert process.is_frozen(PATIENCE_S)
            threading.Event().wait(2 * SESSION_S)
            process.thaw()
            process.ready()
        account.settle()


def _is_away(process: Service) -> bool:
    return any(name.endswith("database") and said != "ok" for name, said in process.health().items())
