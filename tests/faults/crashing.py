"""Named points at which a process can be made to die, between "record read" and "position committed" and between "committed" and
"published": the bus and the databases that a process is composed from, wrapped so that passing a point may be the last thing it does.

    ingest.received    a request's records are about to be published     ingest.published    the bus has them, nobody is answered yet
    ROOM.read          a batch was read                                  ROOM.moved          the position moved, in the transaction
    ROOM.applied       its effect is in the transaction as well          ROOM.committed      committed, nobody was told yet
    relay.read         what is to be published was read                  relay.published     the bus has it
    relay.applied      it is struck off the list, in the transaction     relay.committed     that is committed

ROOM is journey or metrics; of ingest these are `cleaning.read` and so on: its consumer, which cleans rejected records of who is erased.
`gone.published`: the bus has months as gone, `nulls.published`: as nulls, and nobody noted that yet.
Only a process that is armed has any of this: services/ knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection

from schemas.topics import JOURNEYS, TOUCHPOINTS
from services.shared.bus import Bus, Consumer, Outgoing, Position, Publisher, Record
from services.shared.db import Database, Keys

_INGEST = ("ingest.received", "ingest.published")
_ROOM = ("read", "moved", "applied", "committed")
_RELAY = ("relay.read", "relay.published", "relay.applied", "relay.committed")
POINTS = (*_INGEST, *(f"journey.{point}" for point in _ROOM), *_RELAY, *(f"metrics.{point}" for point in _ROOM))
ERASING = ("gone.published", "nulls.published", *(f"cleaning.{point}" for point in _ROOM))
"""Points that only an erasure comes to."""
_GROUPS = {"ingest": "cleaning"}
_PUBLISHES = {TOUCHPOINTS: _INGEST, JOURNEYS: _RELAY[:2]}
_THREADS = {"consume ingest": "cleaning", "consume journey": "journey", "consume metrics": "metrics", "relay": "relay"}


class Fuse:
    """A file with a point, a number and a signal: the process sends itself the signal (SIGKILL: it dies; SIGSTOP: it stands still) at that
    passing of the point. Read once, when the process starts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        point, number, name = file.read_text().split()
        assert point in (*POINTS, *ERASING)
        self._point, self._left, self._lock = point, int(number), threading.Lock()
        self._signal = signal.Signals[name]

    def passing(self, point: str) -> None:
        """The file goes first, so that it tells whether the process came to its point."""
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._file.unlink()
                os.kill(os.getpid(), self._signal)


def armed_bus(bus: Bus, fuse: Fuse) -> Bus:
    """The bus with points before and after publishing, and after reading."""
    return cast(Bus, _ArmedBus(bus, fuse))


class _ArmedBus:
    def __init__(self, bus: Bus, fuse: Fuse) -> None:
        self._bus, self._fuse = bus, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def publisher(self, fence: str | None = None) -> Publisher:
        return _ArmedPublisher(self._bus.publisher(fence), self._fuse)

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        return cast(Consumer, _ArmedConsumer(self._bus.consumer(group, topics), self._fuse, group))


class _ArmedPublisher(Publisher):
    def __init__(self, publisher: Publisher, fuse: Fuse) -> None:
        self._publisher, self._fuse = publisher, fuse

    def publish(self, records: Sequence[Outgoing]) -> Future[list[Position]]:
        if not records or records[0].topic not in _PUBLISHES:
            return self._publisher.publish(records)
        before, after = _PUBLISHES[records[0].topic]
        self._fuse.passing(before)
        told: Future[list[Position]] = Future()
        told.set_running_or_notify_cancel()

        def acknowledged(done: Future[list[Position]]) -> None:
            if (error := done.exception()) is not None:
                told.set_exception(error)
                return
            self._fuse.passing(after)  # before anybody learns of it
            if any(record.value is None for record in records):
                self._fuse.passing("nulls.published")
            if any(b'"gone":true' in (record.value or b"") for record in records):
                self._fuse.passing("gone.published")
            told.set_result(done.result())

        self._publisher.publish(records).add_done_callback(acknowledged)
        return told

    def close(self, timeout_s: float = 10.0) -> None:
        self._publisher.close(timeout_s)


class _ArmedConsumer:
    def __init__(self, consumer: Consumer, fuse: Fuse, group: str) -> None:
        self._consumer, self._fuse, self._group = consumer, fuse, group

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def poll(self, timeout_s: float, max_records: int = 1000) -> list[Record]:
        if records := self._consumer.poll(timeout_s, max_records):
            self._fuse.passing(f"{_GROUPS.get(self._group, self._group)}.read")
        return records


class ArmedDatabase(Database):
    """A database with points in and after the transactions that move positions, and those of the relay."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        vars(self).update(vars(database))
        self._fuse, self._here = fuse, threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        who = _THREADS.get(threading.current_thread().name)
        self._here.counts = who == "relay"
        with super().transaction() as tx:
            yield tx
            if self._here.counts:
                self._fuse.passing(f"{who}.applied")
        if self._here.counts:
            self._fuse.passing(f"{who}.committed")

    def count(self, tx: Connection, sql: str, params: Mapping[str, object] | None = None, **keys: Keys) -> int:
        changed = super().count(tx, sql, params, **keys)
        who = _THREADS.get(threading.current_thread().name)
        if who is not None and sql.startswith("UPDATE position "):
            self._here.counts = True
            self._fuse.passing(f"{who}.moved")
        return changed
