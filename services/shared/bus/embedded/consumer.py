"""Consuming from the embedded bus."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence

from services.shared.bus import Record
from services.shared.bus.embedded.group import Membership
from services.shared.bus.embedded.storage import offset_of, place_of, transaction, translated
from services.shared.bus.sharing import TopicPartition
from services.shared.errors import Misplaced, Unavailable

MAX_POLL_BYTES = 8 * 1024 * 1024
NOTICE_S = 0.02
"""How often a waiting consumer looks whether another process has written."""


class Arrivals:
    """Counts the commits of this process, so that whoever waits for records wakes at once."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def announce(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until there were commits after the `seen`-th; False if `timeout_s` passed before."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count != seen, timeout_s)


def read_records(
    connection: sqlite3.Connection, where: TopicPartition, lane: int, offset: int, max_records: int, max_bytes: int
) -> list[Record]:
    """Within a transaction: the records of a lane from `offset` on; at least one, if there is one, whatever its size."""
    query = "SELECT place, key, value, timestamp_ms FROM records WHERE place >= ? AND place < ? ORDER BY place LIMIT ?"
    rows = connection.execute(query, (place_of(lane, offset), place_of(lane + 1, 0), max_records))
    records: list[Record] = []
    size = 0
    for place, key, value, timestamp_ms in rows:
        records.append(Record(*where, offset_of(place), key, value, timestamp_ms))
        size += len(key) + len(value or b"")
        if size >= max_bytes:
            break
    return records


def check_offset(where: TopicPartition, offset: int, begin_offset: int, end_offset: int) -> None:
    """Raise `Misplaced` if there can be no record at `offset`, now or later."""
    if not begin_offset <= offset <= end_offset:
        raise Misplaced(f"{where[0]}/{where[1]} holds offsets {begin_offset} to {end_offset}, {offset} was asked for")


class EmbeddedConsumer:
    """A `Consumer` on a connection of its own."""

    def __init__(self, connection: sqlite3.Connection, membership: Membership, arrivals: Arrivals) -> None:
        self._connection = connection
        self._membership = membership
        self._arrivals = arrivals
        self._held: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, tuple[int, int]] = {}  # the lane, and the offset that comes next
        self.closed = False

    def poll(self, timeout_s: float, max_records: int = 1000) -> list[Record]:
        """See `Consumer.poll`."""
        if self.closed:
            raise Unavailable("embedded bus: this consumer is closed")
        deadline = time.monotonic() + timeout_s
        while True:
            commits, version = self._arrivals.count, self._version()
            if self._rebalanced():
                return []
            if records := self._fetch(max_records):
                return records
            if not self._wait(commits, version, deadline):
                return []

    def assignment(self) -> frozenset[TopicPartition]:
        """See `Consumer.assignment`."""
        return self._held

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """See `Consumer.seek`."""
        where = (topic, partition)
        if where not in self._held:
            raise ValueError(f"{topic}/{partition} is not held by this consumer")
        self._positions.pop(where, None)
        query = "SELECT lane, begin_offset, end_offset FROM lanes WHERE topic = ? AND partition = ?"
        with translated("seek"):
            row = self._connection.execute(query, where).fetchone()
        if row is None:
            raise Misplaced(f"there is no {topic}/{partition} any more")
        lane, begin_offset, end_offset = row
        check_offset(where, offset, begin_offset, end_offset)
        self._positions[where] = (lane, offset)

    def report(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `Consumer.report`."""
        held = {where: offset for where, offset in positions.items() if where in self._held}
        if held:
            self._membership.report(held)

    def close(self) -> None:
        """See `Consumer.close`."""
        if self.closed:
            return
        self.closed = True
        self._held, self._positions = frozenset(), {}
        try:
            self._membership.leave()
        finally:
            self._connection.close()

    def _rebalanced(self) -> bool:
        """Take over what the group says this member holds; True if that is new."""
        held = self._membership.refresh()
        if held == self._held:
            return False
        self._held = held
        self._positions = {where: position for where, position in self._positions.items() if where in held}
        return True

    def _fetch(self, max_records: int) -> list[Record]:
        """What there is to read now. The partitions take turns in coming first, so that a busy one starves no other."""
        records: list[Record] = []
        size = 0
        with transaction(self._connection, "read", write=False):
            lanes = {lane: ends for lane, *ends in self._connection.execute("SELECT lane, begin_offset, end_offset FROM lanes")}
            for where, (lane, offset) in list(self._positions.items()):
                self._check(where, lanes.get(lane), offset)
            for where, (lane, offset) in list(self._positions.items()):
                if len(records) >= max_records or size >= MAX_POLL_BYTES:
                    break
                if offset == lanes[lane][1]:
                    continue
                found = read_records(self._connection, where, lane, offset, max_records - len(records), MAX_POLL_BYTES - size)
                del self._positions[where]
                self._positions[where] = (lane, found[-1].offset + 1 if found else lanes[lane][1])
                size += sum(len(record.key) + len(record.value or b"") for record in found)
                records += found
        return records

    def _check(self, where: TopicPartition, ends: Sequence[int] | None, offset: int) -> None:
        """Raise `Misplaced`, and deliver no more of the partition until the next seek, if its position is gone."""
        try:
            if ends is None:
                raise Misplaced(f"{where[0]}/{where[1]} was deleted, and maybe created again, since its position was set")
            check_offset(where, offset, *ends)
        except Misplaced:
            del self._positions[where]
            raise

    def _version(self) -> int:
        """A number that differs after each commit of any other connection, in whatever process."""
        with translated("read"):
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return version

    def _wait(self, commits: int, version: int, deadline: float) -> bool:
        """Wait until something was committed or a heartbeat is due; False at the deadline."""
        heartbeat = time.monotonic() + self._membership.heartbeat_s
        while (now := time.monotonic()) < deadline:
            if now >= heartbeat or self._arrivals.wait(commits, min(NOTICE_S, deadline - now)) or self._version() != version:
                return True
        return False
