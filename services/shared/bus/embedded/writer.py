"""Publishing on the embedded bus: one thread takes everything that is queued and commits it at once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from services.shared.bus import Outgoing, Position, partition_of, size_of
from services.shared.bus.embedded.storage import place_of, transaction
from services.shared.clock import Clock
from services.shared.errors import Misplaced, Unavailable, WaypostError

MAX_QUEUED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to publish under a name, until somebody takes a later epoch."""

    name: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Request:
    """One call of `publish`, waiting for its commit."""

    records: Sequence[Outgoing]
    size: int
    fence: Fence | None
    future: Future[list[Position]]


class Writer:
    """Commits the queued requests of all publishers of one bus object, everything that waits in one transaction.

    `committed` is called after each commit. A failed commit fails every request in it with `Unavailable`.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Clock, committed: Callable[[], None]) -> None:
        self._connection = connection
        self._clock = clock
        self._committed = committed
        self._queue: list[Request] = []
        self._queued_bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="bus-writer", daemon=True)
        self._thread.start()

    def enqueue(self, request: Request) -> None:
        """Queue a request; it fails with `Unavailable` when too much is waiting or the writer is closed."""
        with self._changed:
            full = self._queued_bytes + request.size > MAX_QUEUED_BYTES and self._queue
            if not full and not self._closed:
                self._queue.append(request)
                self._queued_bytes += request.size
                self._changed.notify()
                return
        request.future.set_exception(Unavailable("embedded bus: too much is waiting" if full else "embedded bus: closed"))

    def close(self) -> None:
        """Commit what is queued, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while batch := self._take():
            try:
                with transaction(self._connection, "publish"):
                    outcomes = append(self._connection, batch, self._clock() // 1000)
            except WaypostError as error:
                outcomes = [error] * len(batch)
            except BaseException as error:
                self._give_up(batch, error)
                raise
            else:
                self._committed()
            for request, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, WaypostError):
                    request.future.set_exception(outcome)
                else:
                    request.future.set_result(outcome)

    def _take(self) -> list[Request]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            batch, self._queue, self._queued_bytes = self._queue, [], 0
            return batch

    def _give_up(self, batch: list[Request], error: BaseException) -> None:
        with self._changed:
            self._closed = True
            batch += self._queue
            self._queue = []
        for request in batch:
            request.future.set_exception(error)


@dataclass(slots=True)
class _Lane:
    """Where the next record of one partition goes."""

    number: int
    compacted: int
    stored_end: int
    end_offset: int


_Row = tuple[int, int, int, bytes, bytes | None]


def append(connection: sqlite3.Connection, requests: Sequence[Request], timestamp_ms: int) -> list[list[Position] | WaypostError]:
    """Write the records of all requests, in order; per request the positions, or why it was left out as a whole."""
    lanes = _lanes(connection)
    rows: list[_Row] = []
    outcomes: list[list[Position] | WaypostError] = []
    for request in requests:
        refusal = _refusal(connection, request, lanes)
        outcomes.append(refusal or _place(request.records, lanes, rows, timestamp_ms))
    connection.executemany("INSERT INTO records (place, compacted, timestamp_ms, key, value) VALUES (?, ?, ?, ?, ?)", rows)
    moved = [lane for of_topic in lanes.values() for lane in of_topic if lane.end_offset > lane.stored_end]
    connection.executemany("UPDATE lanes SET end_offset = ? WHERE lane = ?", [(lane.end_offset, lane.number) for lane in moved])
    return outcomes


def _lanes(connection: sqlite3.Connection) -> dict[str, list[_Lane]]:
    """Per topic its lanes by partition, as they are in this transaction."""
    rows = connection.execute(
        "SELECT name, lane, compacted, end_offset FROM topics JOIN lanes ON topic = name ORDER BY name, partition"
    )
    lanes: dict[str, list[_Lane]] = {}
    for topic, number, compacted, end_offset in rows:
        lanes.setdefault(topic, []).append(_Lane(number, compacted, end_offset, end_offset))
    return lanes


def _refusal(connection: sqlite3.Connection, request: Request, lanes: Mapping[str, list[_Lane]]) -> WaypostError | None:
    """Why nothing of a request can be written, if so."""
    if (fence := request.fence) is not None:
        (epoch,) = connection.execute("SELECT epoch FROM fences WHERE name = ?", (fence.name,)).fetchone()
        if epoch != fence.epoch:
            return Unavailable(f"embedded bus: fenced out, a later publisher holds {fence.name}")
    for record in request.records:
        if record.topic not in lanes:
            return Unavailable(f"embedded bus: no topic {record.topic}")
        if record.partition is not None and not 0 <= record.partition < len(lanes[record.topic]):
            return Misplaced(f"{record.topic} has no partition {record.partition}")
    return None


def _place(records: Sequence[Outgoing], lanes: Mapping[str, list[_Lane]], rows: list[_Row], timestamp_ms: int) -> list[Position]:
    """Give each record the next offset of its partition, and add its row."""
    positions: list[Position] = []
    for topic, key, value, partition in records:
        of_topic = lanes[topic]
        number = partition_of(key, len(of_topic)) if partition is None else partition
        lane = of_topic[number]
        rows.append((place_of(lane.number, lane.end_offset), lane.compacted, timestamp_ms, key, value))
        positions.append(Position(number, lane.end_offset))
        lane.end_offset += 1
    return positions


class EmbeddedPublisher:
    """A `Publisher` on the writer that all publishers of one bus object share."""

    def __init__(self, writer: Writer, fence: Fence | None) -> None:
        self._writer = writer
        self._fence = fence
        self._closed = False
        self._last: Future[list[Position]] | None = None

    def publish(self, records: Sequence[Outgoing]) -> Future[list[Position]]:
        """See `Publisher.publish`."""
        if self._closed:
            raise Unavailable("embedded bus: this publisher is closed")
        size = size_of(records)
        future: Future[list[Position]] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        self._last = future
        self._writer.enqueue(Request(records, size, self._fence, future))
        return future

    def close(self, timeout_s: float = 10.0) -> None:
        """See `Publisher.close`."""
        self._closed = True
        if self._last is not None:  # commits come in order, so the last one's end is the end of all
            wait([self._last], timeout_s)
