"""Where a bus under test lives: a file, or a real Kafka. Anything that opens the same place sees the same topics."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from services.shared.bus import Bus, Consumer, Record
from services.shared.bus.embedded import EmbeddedBus
from services.shared.bus.kafka import KafkaBus
from tests.parts.kafka import Kafka

PATIENCE_S = 30.0
"""How long a test waits for what must happen before it fails."""


def open_bus(address: str, session_timeout_s: float) -> Bus:
    """A bus object on `file:PATH` or `kafka:BOOTSTRAP`, as a process of its own would open it."""
    kind, _, where = address.partition(":")
    if kind == "file":
        return EmbeddedBus(Path(where), session_timeout_s=session_timeout_s, busy_timeout_s=1.0)
    return KafkaBus(where, session_timeout_s=session_timeout_s)


class Place:
    """A place for one test: it opens buses and child processes there, and ends them all afterwards."""

    def __init__(self, address: str, kafka: Kafka | None = None) -> None:
        self.address = address
        self._kafka = kafka
        self._opened = ExitStack()
        self.bus = self.open()

    def open(self, session_timeout_s: float = 2.0) -> Bus:
        """One more bus object."""
        return self._opened.enter_context(closing(open_bus(self.address, session_timeout_s)))

    def child(self, *arguments: str) -> Child:
        """A process of `tests.contract.bus_child` on this place."""
        return self._opened.enter_context(closing(Child(self.address, *arguments)))

    @contextmanager
    def away(self) -> Iterator[None]:
        """While inside, nothing can be published: the broker is killed, or another process keeps the file locked."""
        if self._kafka is not None:
            self._kafka.kill9()
            try:
                yield
            finally:
                self._kafka.start()
            return
        with closing(sqlite3.connect(self.address.removeprefix("file:"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    def close(self) -> None:
        self._opened.close()


class Child:
    """A process of `tests.contract.bus_child`; a thread collects the lines that it prints."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.bus_child", *arguments], stdout=subprocess.PIPE, text=True
        )
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def lines(self, at_least: int = 0) -> list[str]:
        """What it has printed, once that is so many lines."""
        with self._more:
            assert self._more.wait_for(lambda: len(self._lines) >= at_least, PATIENCE_S)
            return list(self._lines)

    def finished(self) -> list[str]:
        """All lines that it printed, once it has ended by itself."""
        self.process.wait(PATIENCE_S)
        self._thread.join()
        return self._lines

    def kill(self) -> list[str]:
        """Kill it with signal 9; all lines that it had printed."""
        self.process.kill()
        self.process.wait()
        self._thread.join()
        return self._lines

    def close(self) -> None:
        self.kill()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as printed:
            for line in printed:
                if line.endswith("\n"):
                    with self._more:
                        self._lines.append(line)
                        self._more.notify_all()


def name(of: str) -> str:
    """A name that no other test uses."""
    return f"{of}-{uuid.uuid4().hex[:12]}"


class Reader:
    """A consumer that goes on from where it stands as rooms do: newly assigned partitions start at what was read last, or 0."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.records: list[Record] = []
        self._sought: frozenset[tuple[str, int]] = frozenset()
        self._next: dict[tuple[str, int], int] = {}

    def poll(self, timeout_s: float = 0.1) -> None:
        self.records += (found := self.consumer.poll(timeout_s))
        self._next.update({(record.topic, record.partition): record.offset + 1 for record in found})
        held = self.consumer.assignment()
        for topic, partition in held - self._sought:
            self.consumer.seek(topic, partition, self._next.get((topic, partition), 0))
        self._sought = held

    def until(self, done: Callable[[], bool], *others: Reader) -> None:
        """Poll until `done`, while each of the others polls on a thread of its own, as members of a group do."""
        deadline = time.monotonic() + PATIENCE_S
        enough = threading.Event()

        def keep_polling(reader: Reader) -> None:
            while not enough.is_set():
                reader.poll()

        with ThreadPoolExecutor(max(1, len(others))) as threads:
            polling = [threads.submit(keep_polling, reader) for reader in others]
            try:
                while not done():
                    assert time.monotonic() < deadline, f"waited in vain; {self} and {others}"
                    self.poll()
            finally:
                enough.set()
            for thread in polling:
                thread.result()

    def __repr__(self) -> str:
        return f"Reader(holds {sorted(self.held())}, {len(self.records)} records)"

    def held(self) -> frozenset[tuple[str, int]]:
        return self.consumer.assignment()

    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


def shared_out(readers: Sequence[Reader], partitions: int, topics: int) -> bool:
    """Whether the readers hold every partition of the topics once, evenly, and each number as a whole."""
    held = [pair for reader in readers for pair in reader.held()]
    numbers = [len({number for _, number in reader.held()}) for reader in readers]
    whole = all(len(reader.held()) == count * topics for reader, count in zip(readers, numbers, strict=True))
    return len(held) == len(set(held)) == partitions * topics and max(numbers) - min(numbers) <= 1 and whole
