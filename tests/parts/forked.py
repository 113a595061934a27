"""Our own processes without the second that their imports take: forked from one that has imported everything and done nothing.

What runs is a process like any other, with its own memory, threads and connections; it can be killed, stopped and asked the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

from tests.parts.processes import clean_environment
from tests.parts.server import PartMissing, Server

Run = Callable[[Sequence[str], Mapping[str, str]], None]
"""The whole life of a process: its arguments after the program's name, and its environment."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "services.__main__",
        "services.cli.parts",
        "services.cli.progress",
        "services.cli.serving",
        "services.ingest.main",
        "services.journey.main",
        "services.metrics.main",
        "services.metrics.store.rebuilding",
        "services.shared.bus.embedded",
        "services.shared.bus.kafka",
        "services.shared.http",
        "psycopg",
        "uvicorn.protocols.http.httptools_impl",
    ]
)


class Finished(NamedTuple):
    """How a command ended: its exit code (less than 0: the signal that killed it) and all that it printed."""

    code: int
    output: str


class ForkedServer(Server):
    """A `Server` whose process is forked and runs `run(arguments, environment)`."""

    def __init__(self, run: Run, arguments: Sequence[str], environment: Mapping[str, str], ready: str, log: Path) -> None:
        super().__init__(["waypost", *arguments], ready, log)
        self._run, self._arguments, self._its_environment = run, arguments, environment
        self._forked: ForkServerProcess | None = None
        self._code: int | None = None

    @property
    def pid(self) -> int | None:
        return None if self._forked is None else self._forked.pid

    def start(self, timeout_s: float = 60.0) -> None:
        """Start it and return once it is ready. Raises PartMissing with the end of its output if it is not."""
        ready, last_lines = threading.Event(), deque[str](maxlen=20)
        self._forked, said = _fork(self._run, self._arguments, self._its_environment)
        self._following = threading.Thread(target=self._listen, args=(said, ready, last_lines), daemon=True)
        self._following.start()
        if not ready.wait(timeout_s) or (not self._following.is_alive() and self.wait(timeout_s) is not None):
            self.kill9()
            raise PartMissing(f"waypost {self._arguments[0]} did not start:\n{''.join(last_lines)}")

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> None:
        if self._forked is None:
            return
        self.signal(how)
        if self.wait(timeout_s) is None:
            self.signal(signal.SIGKILL)
            self.wait(timeout_s)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs: its output tells, also when whoever forked it is gone."""
        if self._forked is not None and self._forked.pid is not None and self._following.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self._forked.pid, number)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it has ended; its exit code (less than 0: the signal that killed it), None if it goes on."""
        if self._forked is not None:
            self._forked.join(timeout_s)
            self._following.join(timeout_s)
            if (code := self._forked.exitcode) is None or self._following.is_alive():
                return None
            self._forked.close()
            self._forked, self._code = None, code
        return self._code

    def _listen(self, said: Connection, ready: threading.Event, last_lines: deque[str]) -> None:
        with said, os.fdopen(os.dup(said.fileno()), errors="replace") as lines, self._log.open("a") as log:
            for line in lines:
                log.write(line)
                log.flush()
                last_lines.append(line)
                if self._ready in line:
                    ready.set()
        ready.set()


def finish(run: Run, arguments: Sequence[str], settings: Mapping[str, str], timeout_s: float = 60.0) -> Finished:
    """Run a command to its end."""
    process, said = _fork(run, arguments, {**clean_environment(), **settings})
    with said, os.fdopen(os.dup(said.fileno()), errors="replace") as lines:
        output = lines.read()
    process.join(timeout_s)
    assert process.exitcode is not None, f"{arguments} closed its output but goes on"
    return Finished(process.exitcode, output)


def _fork(run: Run, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[ForkServerProcess, Connection]:
    reader, writer = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_begin, args=(run, list(arguments), dict(environment), writer), daemon=True)
    process.start()
    writer.close()
    return process, reader


def _begin(run: Run, arguments: Sequence[str], environment: Mapping[str, str], says: Connection) -> None:
    """In the forked process."""
    os.setsid()  # Ctrl-C reaches the tests only
    for number in (1, 2):
        os.dup2(says.fileno(), number)
    says.close()
    os.environ.clear()
    os.environ.update(environment)
    run(arguments, environment)
