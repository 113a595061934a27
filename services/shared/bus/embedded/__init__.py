"""The bus in one SQLite file, for one or more processes on one machine.

storage   the file: tables, connections, errors
writer    publishing: a thread that commits everything queued at once, with `synchronous=FULL`
consumer  reading, and waiting without polling the records
group     consumer groups: members, heartbeats, generations
upkeep    retention and compaction
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from services.shared.bus import Record, TopicInfo, TopicSpec
from services.shared.bus.embedded import upkeep
from services.shared.bus.embedded.consumer import MAX_POLL_BYTES, Arrivals, EmbeddedConsumer, check_offset, read_records
from services.shared.bus.embedded.group import Membership
from services.shared.bus.embedded.storage import connect, prepare, transaction
from services.shared.bus.embedded.writer import EmbeddedPublisher, Fence, Writer
from services.shared.clock import Clock, system_clock
from services.shared.errors import Misplaced, Unavailable

log = logging.getLogger(__name__)


class EmbeddedBus:
    """A `Bus` kept in the file `path`, which is made if it is missing.

    Any number of processes may open one file; a process should open it once, so that its publishers share commits.
    Housekeeping runs every `housekeeping_s` in a thread of its own; it is the same whichever process does it.
    """

    def __init__(
        self,
        path: Path,
        *,
        session_timeout_s: float = 10.0,
        busy_timeout_s: float = 5.0,
        housekeeping_s: float = 60.0,
        clock: Clock = system_clock,
    ) -> None:
        self._path = path
        self._session_timeout_s = session_timeout_s
        self._busy_timeout_s = busy_timeout_s
        self._clock = clock
        prepare(path, busy_timeout_s)
        self._connection = connect(path, busy_timeout_s, durable=True)
        self._one_at_a_time = threading.Lock()
        self._arrivals = Arrivals()
        self._writer: Writer | None = None
        self._consumers: list[EmbeddedConsumer] = []
        self._closing = threading.Event()
        self._housekeeper = threading.Thread(
            target=self._keep_house_every, args=(housekeeping_s,), name="bus-housekeeping", daemon=True
        )
        self._housekeeper.start()

    def create(self, topics: Iterable[TopicSpec]) -> None:
        """See `Bus.create`."""
        with self._writing("create topics") as connection:
            for topic in topics:
                row = (topic.name, uuid.uuid4().hex, topic.partitions, topic.compacted, topic.retention_s)
                if connection.execute("INSERT OR IGNORE INTO topics VALUES (?, ?, ?, ?, ?)", row).rowcount:
                    lanes = [(topic.name, partition) for partition in range(topic.partitions)]
                    connection.executemany("INSERT INTO lanes (topic, partition) VALUES (?, ?)", lanes)

    def delete(self, topic: str) -> None:
        """See `Bus.delete`."""
        with self._writing("delete a topic") as connection:
            lanes = "SELECT min(lane) << 40, (max(lane) + 1) << 40 FROM lanes WHERE topic = ?"  # made together: one range
            bounds = connection.execute(lanes, (topic,)).fetchone()
            connection.execute("DELETE FROM records WHERE place >= ? AND place < ?", bounds)
            connection.execute("DELETE FROM lanes WHERE topic = ?", (topic,))
            connection.execute("DELETE FROM reports WHERE topic = ?", (topic,))
            connection.execute("DELETE FROM topics WHERE name = ?", (topic,))

    def describe(self, topic: str) -> TopicInfo:
        """See `Bus.describe`."""
        with self._reading() as connection:
            row = connection.execute("SELECT name, id, partitions FROM topics WHERE name = ?", (topic,)).fetchone()
        if row is None:
            raise Unavailable(f"embedded bus: no topic {topic}")
        return TopicInfo(*row)

    def begin_offsets(self, topic: str) -> Mapping[int, int]:
        """See `Bus.begin_offsets`."""
        return {partition: begin for partition, begin, _ in self._lanes(topic)}

    def end_offsets(self, topic: str) -> Mapping[int, int]:
        """See `Bus.end_offsets`."""
        return {partition: end for partition, _, end in self._lanes(topic)}

    def reported(self, group: str, topic: str) -> Mapping[int, int]:
        """See `Bus.reported`."""
        with self._reading() as connection:
            query = "SELECT partition, next_offset FROM reports WHERE group_name = ? AND topic = ?"
            return dict(connection.execute(query, (group, topic)).fetchall())

    def publisher(self, fence: str | None = None) -> EmbeddedPublisher:
        """See `Bus.publisher`."""
        with self._one_at_a_time:
            self._check_open()
            if self._writer is None:
                writing = connect(self._path, self._busy_timeout_s, durable=True)
                self._writer = Writer(writing, self._clock, self._arrivals.announce)
            writer = self._writer
        return EmbeddedPublisher(writer, fence=None if fence is None else self._next_epoch(fence))

    def consumer(self, group: str, topics: Sequence[str]) -> EmbeddedConsumer:
        """See `Bus.consumer`."""
        for topic in topics:
            self.describe(topic)
        self._check_open()
        connection = connect(self._path, self._busy_timeout_s)
        membership = Membership(connection, group, topics, self._session_timeout_s, self._clock)
        consumer = EmbeddedConsumer(connection, membership, self._arrivals)
        self._consumers = [*(other for other in self._consumers if not other.closed), consumer]
        return consumer

    def read(self, topic: str, partition: int, offset: int, max_records: int = 1000) -> list[Record]:
        """See `Bus.read`."""
        with self._reading() as connection:
            query = "SELECT lane, begin_offset, end_offset FROM lanes WHERE topic = ? AND partition = ?"
            row = connection.execute(query, (topic, partition)).fetchone()
            if row is None:
                raise Misplaced(f"there is no {topic}/{partition}")
            check_offset((topic, partition), offset, row[1], row[2])
            return read_records(connection, (topic, partition), row[0], offset, max_records, MAX_POLL_BYTES)

    def ping(self) -> None:
        """See `Bus.ping`."""
        with self._reading() as connection:
            connection.execute("SELECT count(*) FROM topics").fetchone()

    def close(self) -> None:
        """See `Bus.close`."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._housekeeper.join()
        with ExitStack() as stack:
            stack.callback(self._connection.close)
            if self._writer is not None:
                stack.callback(self._writer.close)
            for consumer in self._consumers:
                stack.callback(consumer.close)

    def keep_house(self) -> None:
        """Retention and compaction, once, now; what is deleted is overwritten. Raises `Unavailable`."""
        with closing(connect(self._path, self._busy_timeout_s)) as connection:
            now_ms = self._clock() // 1000
            upkeep.overwrite_deleted(connection)
            upkeep.expire(connection, now_ms, self._closing)
            upkeep.compact(connection, now_ms, self._closing)

    def _keep_house_every(self, interval_s: float) -> None:
        while not self._closing.wait(interval_s):
            try:
                self.keep_house()
            except Unavailable as error:
                log.warning("housekeeping is put off until the next time: %s", error)

    def _lanes(self, topic: str) -> list[tuple[int, int, int]]:
        """Partition, begin offset and end offset of each lane of a topic."""
        with self._reading() as connection:
            query = "SELECT partition, begin_offset, end_offset FROM lanes WHERE topic = ? ORDER BY partition"
            rows: list[tuple[int, int, int]] = connection.execute(query, (topic,)).fetchall()
        if not rows:
            raise Unavailable(f"embedded bus: no topic {topic}")
        return rows

    def _next_epoch(self, name: str) -> Fence:
        """Shut out whoever publishes under this name."""
        with self._writing("open a fenced publisher") as connection:
            query = "INSERT INTO fences VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch"
            (epoch,) = connection.execute(query, (name,)).fetchone()
        return Fence(name, epoch)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._one_at_a_time:
            self._check_open()
            with transaction(self._connection, "read", write=False) as connection:
                yield connection

    @contextmanager
    def _writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._one_at_a_time:
            self._check_open()
            with transaction(self._connection, doing) as connection:
                yield connection

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise Unavailable("embedded bus: closed")
