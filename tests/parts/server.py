"""A server that tests start as a process of its own, and end by its process id, whatever happens."""

from __future__ import annotations

import atexit
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

PORTS = range(16_384, 32_768)
"""Below those that Linux and others give to connections by themselves."""


class PartMissing(Exception):
    """A real part (Kafka, PostgreSQL) cannot be had on this machine; the message says why."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is the caller's for as long as this process lives, whether or not somebody listens on it.

    Nobody else is given it: connections take theirs from a higher range, and what keeps it from the tests that run beside these
    is that the UDP port of the same number is bound.
    """
    for port in Random().sample(PORTS, len(PORTS)):
        reserved = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reserved.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reserved.close()
        else:
            reserved.detach()
            return port
    raise PartMissing(f"all ports from {PORTS.start} to {PORTS.stop - 1} are taken")


class Server:
    """One command. It is up once a line of its output contains `ready`; all its output is kept in `log`.

    `user` is whom to run as, None for ourselves; `environment` is all that it gets, None for our own.
    """

    def __init__(
        self,
        command: Sequence[str],
        ready: str,
        log: Path,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._ready = ready
        self._log = log
        self._user = user
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None when it is not running."""
        return None if self._process is None else self._process.pid

    def is_up(self) -> bool:
        """Whether it runs, or has not been started."""
        return self._process is None or self._process.poll() is None

    def start(self, timeout_s: float = 60.0) -> None:
        """Start the command and return once it is ready. Raises PartMissing with the end of its output if it is not."""
        _end_in_order_when_terminated()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the tests only, which then stop it in order
            env=self._environment,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        atexit.register(self.kill9)
        ready, last_lines = threading.Event(), deque[str](maxlen=20)
        threading.Thread(target=self._follow, args=(self._process, ready, last_lines), daemon=True).start()
        if not ready.wait(timeout_s) or self._process.poll() is not None:
            self.kill9()
            raise PartMissing(f"{self._command[0]} did not start:\n{''.join(last_lines)}")

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> None:
        """End it with a signal and wait; kill it if that takes too long. Nothing happens when it is not running."""
        if (process := self._process) is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None
        atexit.unregister(self.kill9)

    def kill9(self) -> None:
        """End it at once, as the kernel would."""
        self.stop(signal.SIGKILL)

    def _follow(self, process: subprocess.Popen[str], ready: threading.Event, last_lines: deque[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines, self._log.open("a", buffering=1) as log:
            for line in lines:
                log.write(line)
                last_lines.append(line)
                if self._ready in line:
                    ready.set()
        process.wait()
        ready.set()


def _end_in_order_when_terminated() -> None:
    """Let SIGTERM end this process as Ctrl-C does: by itself it would skip `atexit` and leave servers behind."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
