"""A disk that is full: what can't be written is not acknowledged, and goes on by itself when there is room again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import NamedTuple

import pytest

from tests.faults.account import Account
from tests.faults.service import Service, embedded, service, until
from tests.parts.disk import SmallDisk
from tests.parts.needed import lacking
from tests.parts.server import PartMissing

FILES = ("bus.db", "journey.db", "metrics.db")
MEGABYTES = 24


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
    said = until(lambda: _trouble_of(small, room), small.up.health)
    assert "full" in said
    account.send(requests=3)
    disk.free()
    account.settle()
    small.up.ready()


def _trouble_of(small: Embedded, room: str) -> str:
    """What the consumer or the relay of a room says after more has come, if it is not well."""
    small.account.send()
    checks = small.up.health()
    return " ".join(said for name, said in checks.items() if name in (f"{room} consumer", f"{room} relay") and said != "ok")
