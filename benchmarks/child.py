"""Processes that are measured from outside: the CPU that they have used, the memory that they hold."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.parts.processes import READY, WAYPOST, clean_environment
from tests.parts.server import PartMissing, Server, free_port

_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """A server of ours as a process of its own, on a free port of 127.0.0.1. Its output is in `folder`."""

    def __init__(self, command: Sequence[str], settings: Mapping[str, str], folder: Path) -> None:
        self.port = free_port()
        here = {"WAYPOST_HOST": "127.0.0.1", "WAYPOST_PORT": str(self.port)}
        environment = {**clean_environment(), **settings, **here}
        self._server = Server(command, READY, folder / f"{self.port}.log", environment=environment)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return once it listens. Raises PartMissing with the end of its output if it ends before."""
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def cpu_s(self) -> float:
        """The CPU time of all its threads so far, in user mode and in the kernel."""
        clock = ctypes.c_int()
        if error := _libc.clock_getcpuclockid(self._pid(), ctypes.byref(clock)):
            raise OSError(error, "clock_getcpuclockid")
        return time.clock_gettime(clock.value)

    def memory_mib(self) -> tuple[float, float]:
        """What is resident now, and the most that ever was."""
        lines = Path(f"/proc/{self._pid()}/status").read_text().splitlines()
        found = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return int(found["VmRSS"].split()[0]) / 1024, int(found["VmHWM"].split()[0]) / 1024

    def _pid(self) -> int:
        if self._server.pid is None:
            raise PartMissing("the process to measure has ended")
        return self._server.pid


def waypost(command: Sequence[str], settings: Mapping[str, str], folder: Path) -> Child:
    """A `waypost` command as users run it."""
    return Child([WAYPOST, *command], settings, folder)


def module(name: str, settings: Mapping[str, str], folder: Path) -> Child:
    """A module of `benchmarks` that serves something to compare with."""
    return Child([sys.executable, "-m", f"benchmarks.{name}"], settings, folder)
