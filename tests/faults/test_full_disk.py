"""A disk that is full: what can't be written is not acknowledged, and goes on by itself when there is room again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.faults.account import Account
from tests.faults.service import Service, distributed, embedded, service, until
from tests.parts.disk import SmallDisk
from tests.parts.kafka import LEAVES_SOCKETS, Kafka
from tests.parts.needed import lacking
from tests.parts.postgres import Postgres
from tests.parts.server import PartMissing

pytestmark = pytest.mark.filterwarnings(LEAVES_SOCKETS)
FILES = ("bus.db", "journey.db", "metrics.db")
MEGABYTES = 24
SERVERS = {"kafka": 32, "postgres": 96}
"""Megabytes of the disks of servers."""


class Embedded(NamedTuple):
    """An embedded installation whose data folder has links to files on disks of their own."""

    account: Account
    disks: Mapping[str, SmallDisk]

    @property
    def up(self) -> Service:
        return service(self.account.at.processes[0])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder, disks = tmp_path_factory.mktemp("small"), dict[str, SmallDisk]()
    (folder / "data").mkdir()
    with ExitStack() as stack:
        for file in FILES:
            try:
                disks[file] = stack.enter_context(closing(SmallDisk(folder / "disks" / file, MEGABYTES)))
            except PartMissing as error:
                lacking(str(error))
            (folder / "data" / file).symlink_to(folder / "disks" / file / file)
        at = stack.enter_context(embedded(folder))
        yield Embedded(Account(at), disks)


def test_the_disk_of_the_bus(small: Embedded) -> None:
    """Ingest answers 503 and when to come again; all that was acknowledged before and after is there."""
    account, disk = small.account, small.disks["bus.db"]
    account.send(requests=3)
    disk.fill()
    status, retry_after = until(account.refused, "the disk of the bus is not full".format)
    assert (status, retry_after > 0) == (503, True)
    disk.free()
    account.send(requests=3)
    account.settle()
    small.up.ready()


@pytest.mark.parametrize("room", ["journey", "metrics"])
def test_the_disk_of_a_room(small: Embedded, room: str) -> None:
    """Ingest goes on acknowledging; the room says what is wrong, and catches up by itself when there is room."""
    account, disk = small.account, small.disks[f"{room}.db"]
    account.send(requests=3)
    disk.fill()
    said = until(lambda: _trouble_of(account, small.up, room), small.up.health)
    assert "full" in said
    account.send(requests=3)
    disk.free()
    account.settle()
    small.up.ready()


class OnServers(NamedTuple):
    """An installation whose Kafka and PostgreSQL each have a disk of their own."""

    account: Account
    kafka: Kafka
    postgres: Postgres
    disks: Mapping[str, SmallDisk]

    @property
    def journey(self) -> Service:
        return service(self.account.at.journeys[0])


@pytest.fixture(scope="module")
def on_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnServers]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waypost-disks-")))
        folder.chmod(0o755)  # PostgreSQL runs as another user
        try:
            disks = {
                part: stack.enter_context(closing(SmallDisk(folder / part, megabytes))) for part, megabytes in SERVERS.items()
            }
            kafka = stack.enter_context(closing(Kafka(disk=folder / "kafka")))
            postgres = stack.enter_context(closing(Postgres(disk=folder / "postgres")))
            with ThreadPoolExecutor(2) as pool:
                for started in [pool.submit(part.start) for part in (kafka, postgres)]:
                    started.result()
        except PartMissing as error:
            lacking(str(error))
        at = stack.enter_context(distributed(kafka, postgres.new_database(), tmp_path_factory.mktemp("servers")))
        yield OnServers(Account(at), kafka, postgres, disks)


def test_the_disk_of_postgresql(on_servers: OnServers) -> None:
    """Ingest goes on acknowledging; the rooms say what is wrong, and catch up by themselves when there is room."""
    account, disk, journey = on_servers.account, on_servers.disks["postgres"], on_servers.journey
    account.send(requests=3)
    disk.fill()
    until(lambda: _trouble_of(account, journey, "journey"), journey.health)
    account.send(requests=3)
    disk.free()
    if not on_servers.postgres.is_up():  # where it has no room for its log it ends
        on_servers.postgres.start()
    account.settle()
    journey.ready()


def test_the_disk_of_kafka(on_servers: OnServers) -> None:
    """The broker ends. Ingest answers 503 and when to come again; once there is room and a broker, everything goes on by itself."""
    account, disk, kafka = on_servers.account, on_servers.disks["kafka"], on_servers.kafka
    account.send(requests=3)
    disk.fill()
    status, retry_after = until(account.refused, "the disk of the broker is not full".format)
    assert (status, retry_after > 0) == (503, True)
    until(lambda: not kafka.is_up(), "the broker goes on without a disk".format)
    disk.free()
    kafka.start()
    account.send(requests=3)
    account.settle()
    on_servers.journey.ready()


def _trouble_of(account: Account, process: Service, room: str) -> str:
    """What the consumer or the relay of a room says after more has come, if it is not well."""
    account.send()
    checks = process.health()
    return " ".join(said for name, said in checks.items() if name in (f"{room} consumer", f"{room} relay") and said != "ok")
