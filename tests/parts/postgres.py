"""A real PostgreSQL from this machine's server binaries."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from tests.parts.server import PartMissing, Server, free_port

SOON = {"fsync": "off", "full_page_writes": "off"}
"""It need not wait for a disk: what it has written outlives its processes, and no test cuts the power."""


class Postgres:
    """A PostgreSQL of our own on a free port of 127.0.0.1, or the one of the URL in `WAYPOST_TEST_POSTGRES` (which nobody may stop).

    `settings` are further ones of the server. With `disk`, always our own, with its data there. Raises PartMissing if none can be had.
    """

    def __init__(self, settings: Mapping[str, str] = SOON, disk: Path | None = None) -> None:
        self.url = os.environ.get("WAYPOST_TEST_POSTGRES", "") if disk is None else ""
        self.ours = not self.url
        if self.ours:
            self._folder = Path(tempfile.mkdtemp(prefix="waypost-postgres-"))
            self._data = (disk or self._folder) / "data"
            self._server = self._install(settings)

    def start(self) -> None:
        """Start it, with the data and on the port that it had before."""
        if self.ours:
            self._server.start()

    def stop(self) -> None:
        """Shut it down in order, ending its connections; the data stays."""
        if self.ours:
            self._server.stop(signal.SIGINT)

    def kill(self) -> None:
        """End it and its children at once, without a checkpoint: the next start recovers from the write-ahead log."""
        assert self.ours, "this PostgreSQL is not ours to kill"
        self._server.stop(signal.SIGQUIT)

    def close(self) -> None:
        """Stop it and delete its data."""
        if self.ours:
            self._server.stop(signal.SIGQUIT)
            shutil.rmtree(self._folder, ignore_errors=True)

    def is_up(self) -> bool:
        """Whether it runs; it ends by itself where it can't go on."""
        return not self.ours or self._server.is_up()

    def logged(self, text: str) -> int:
        """In how many lines of its log a text stands."""
        assert self.ours, "this PostgreSQL's log is not ours to read"
        with (self._folder / "postgres.log").open(errors="replace") as lines:
            return sum(text in line for line in lines)

    def new_database(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = f"waypost_{uuid.uuid4().hex}"
        url = make_url(self.url)
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(False), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # made above: hexadecimal digits
        return url.set(drivername="postgresql+psycopg", database=name).render_as_string(False)

    def _install(self, more: Mapping[str, str]) -> Server:
        binaries = _binaries()
        user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        if user is not None:
            shutil.chown(self._folder, user, user)
        data, port = self._data, free_port()
        make = [
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        done = subprocess.run(make, capture_output=True, text=True, check=False, cwd="/", user=user, group=user)
        if done.returncode:
            raise PartMissing(f"initdb failed: {done.stderr}")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 200,
            **more,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        command = [str(binaries / "postgres"), "-D", str(data), *options]
        return Server(command, "database system is ready to accept connections", self._folder / "postgres.log", user)


def _binaries() -> Path:
    """The folder of the newest server on this machine: beside pg_config, or where Debian puts it."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    if (asked := shutil.which("pg_config")) is not None:
        done = subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=True)
        folders.insert(0, Path(done.stdout.strip()))
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise PartMissing("there are no PostgreSQL server binaries on this machine")
