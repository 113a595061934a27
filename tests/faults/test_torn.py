"""A torn write-ahead log: every embedded process is killed, and then bytes are destroyed that SQLite had synced."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults.account import Account
from tests.faults.service import Service, embedded, service, until


def cut(log: Path) -> None:
    """Lose the second half."""
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2)


def flip(log: Path) -> None:
    """Change a byte two thirds in: SQLite believes nothing from there on."""
    at = log.stat().st_size * 2 // 3
    with log.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0xFF]))


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("room", ["bus", "journey", "metrics"])
def test_bytes_that_were_synced_are_destroyed(room: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    """What the other files know brings everything back, or a room stops and names the command that does."""
    with embedded(tmp_path) as at:
        account, up = Account(at), service(at.processes[0])
        account.send(requests=5)
        account.settle()
        up.kill9()
        damage(tmp_path / "data" / f"{room}.db-wal")
        up.start()
        account.forget_tokens()
        _mend(up)
        account.send(requests=3)
        account.settle()
        up.ready()


def _mend(up: Service) -> None:
    """Run every command that is named, until none is."""
    while commands := until(lambda: _settled(up), up.health):
        if commands == ["ok"]:
            return
        for command in commands:
            if must_stop := command.startswith("restore"):
                up.stop()
            ended = up.run(*command.split())
            assert ended.code == 0, ended.output
            if must_stop:
                up.start()
            until(partial(_is_done, up, command), up.health)


def _is_done(up: Service, command: str) -> bool:
    return command not in _commands(up)


def _settled(up: Service) -> list[str]:
    """The commands that are named, or that all is well."""
    return _commands(up) or (["ok"] if set(up.health().values()) == {"ok"} else [])


def _commands(up: Service) -> list[str]:
    said = " ".join(up.health().values())
    return sorted(set(re.findall(r"run `waypost ([a-z -]+)`", said)))
