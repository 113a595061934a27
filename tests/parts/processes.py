"""Our own processes, as they are run: `waypost ingest`, `waypost up`, … on ports of 127.0.0.1."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.cli.client import WAIT_S, Service
from tests.parts.server import PartMissing, Server, free_port

READY = "Waypost listens on"
WAYPOST = str(Path(sys.executable).with_name("waypost"))
STARTS = 20
"""How often a process that ends at once, because the bus or the database is away, is started again."""


class Ended(Exception):
    """A process of ours did not come up; the text is the end of its output."""


class Process:
    """One `waypost` command on a port that it keeps over restarts. Its output is in `log`."""

    def __init__(self, name: str, command: Sequence[str], settings: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{name}.log"
        here = {"WAYPOST_HOST": "127.0.0.1", "WAYPOST_PORT": str(self.port)}
        environment = {**clean_environment(), **settings, **here}
        self._server = Server([WAYPOST, *command], READY, self.log, environment=environment)

    @property
    def is_running(self) -> bool:
        return self._server.pid is not None

    def start(self) -> None:
        """Start it and return once it answers. Raises Ended if it ends before."""
        try:
            self._server.start()
        except PartMissing as error:
            raise Ended(str(error)) from None

    def start_again(self) -> None:
        """Start it as the restart policy of an engine does: what ends at once, as the bus or the database is away, is started anew."""
        for _ in range(STARTS - 1):
            try:
                self.start()
            except Ended:
                continue
            return
        self.start()

    def kill9(self) -> None:
        self._server.kill9()

    def stop(self) -> None:
        """Ask it to end, and wait until it has finished what it holds."""
        self._server.stop()

    def service(self, wait_s: float = WAIT_S, token: str = "") -> Service:
        """A new connection to it, whose calls go on trying for so long while it is away."""
        return Service(self.url, token, wait_s)


def clean_environment() -> dict[str, str]:
    """Ours without any setting of Waypost."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
