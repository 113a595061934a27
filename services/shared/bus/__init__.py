"""The bus: ordered, partitioned, durable topics. This page is the specification that every implementation keeps.

Implementations: `services.shared.bus.embedded` (SQLite) and `services.shared.bus.kafka` (Apache Kafka). Both pass
`tests/contract/test_bus.py`. Topics and their partitions are made by `create`; a record's partition is
`partition_of(key, partitions)`, the same function in both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.shared.errors import Rejected

MAX_RECORD_BYTES = 1_000_000
"""The limit of one record, key and value together; the same on every bus."""
COMPACTION_LAG_S = 24 * 3600
"""In a compacted topic, a record that a later one of its key replaces is gone after this time at the latest (and a minute)."""
TOMBSTONE_S = 24 * 3600
"""How long a tombstone stays after that, so that a reader who has seen the value sees it go."""


class Position(NamedTuple):
    """A place in a topic: the offset of one record in one partition."""

    partition: int
    offset: int


class Outgoing(NamedTuple):
    """A record to publish. `partition` None means the partition of its key; a None value is a tombstone (compacted topics)."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None


class Record(NamedTuple):
    """A record as consumed. `timestamp_ms` is when the bus took it (milliseconds since 1970, UTC)."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    timestamp_ms: int


@dataclass(frozen=True)
class TopicSpec:
    """What a topic should be when it is created: `retention_s` None keeps everything; a compacted topic keeps the last of each key."""

    name: str
    partitions: int
    compacted: bool = False
    retention_s: int | None = None


@dataclass(frozen=True)
class TopicInfo:
    """What a topic is now. `id` changes when a topic of the same name is deleted and created again."""

    name: str
    id: str
    partitions: int


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: CRC-32 modulo the number of partitions."""
    return zlib.crc32(key) % partitions


def size_of(records: Iterable[Outgoing]) -> int:
    """The bytes of all keys and values. Raises `Rejected("record_too_large")` if one record has over MAX_RECORD_BYTES."""
    total = 0
    for _, key, value, _ in records:
        size = len(key) + len(value) if value is not None else len(key)
        if size > MAX_RECORD_BYTES:
            raise Rejected("record_too_large", f"a record may have {MAX_RECORD_BYTES:,} bytes, this one has {size:,}")
        total += size
    return total


class Publisher(Protocol):
    """Publishes records durably; those of one partition in the order given.

    Promises: the future of `publish` resolves, with one `Position` per record in the order given, only when the bus holds
    every one of them durably (it survives `kill -9` and, on disk, a power cut); it fails with `Unavailable` when that is
    unknown or untrue (some of the records may then be on the bus all the same). Calls in flight share commits. Thread-safe.
    The future's callbacks run on the publisher's own thread and must not block.
    """

    def publish(self, records: Sequence[Outgoing]) -> Future[list[Position]]:
        """Queue records; returns at once. Raises `Rejected("record_too_large")` for a record over the bus's limit."""
        ...

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what is queued, then release everything. Later calls of `publish` raise `Unavailable`."""
        ...


class Consumer(Protocol):
    """Reads one group's share of the partitions of some topics.

    Promises: the members of a group share out the partitions, all topics of one partition number going to one member
    where the topics have equally many partitions; records of one partition come in offset order, each at least once;
    hand-overs may overlap (the caller's compare-and-set on its position decides). The position is the caller's: a newly
    assigned partition (one that `assignment()` did not name after the poll before) delivers nothing until `seek`; after
    `seek(topic, partition, offset)` the next record of it is the first whose offset is ≥ `offset` (compaction may leave
    gaps). One thread at a time. Raises `Unavailable` when the bus is away or the consumer closed; `Misplaced`, from `seek`
    or a later `poll`, when an offset that was asked for is gone from the bus or beyond its end: that partition then delivers
    nothing until another `seek`, the others go on.
    """

    def poll(self, timeout_s: float, max_records: int = 1000) -> list[Record]:
        """The next records of the partitions held, in order per partition; returns within `timeout_s`, empty if nothing came.

        A rebalance may happen inside; look at `assignment()` after each call.
        """
        ...

    def assignment(self) -> frozenset[tuple[str, int]]:
        """The (topic, partition) pairs held now."""
        ...

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """The next record of this partition is the first at or after `offset`. Only for partitions held."""
        ...

    def report(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Tell the bus how far the group has come: {(topic, partition): offset of the next record}, of partitions held.

        Advisory: it is shown by the bus's own tools and by `Bus.reported`, may come late or not at all, and no consumer ever
        starts from it.
        """
        ...

    def close(self) -> None:
        """Leave the group at once, so that others take over without waiting for a time-out."""
        ...


class Bus(Protocol):
    """A bus as a room sees it. Every method raises `Unavailable` when the bus is away."""

    def create(self, topics: Iterable[TopicSpec]) -> None:
        """Create the topics that are missing; those that exist stay as they are. Safe to call from several processes at once."""
        ...

    def describe(self, topic: str) -> TopicInfo:
        """What the topic is now. Raises `Unavailable` if there is no such topic."""
        ...

    def begin_offsets(self, topic: str) -> Mapping[int, int]:
        """Per partition, the first offset that can be asked for: retention moves it, compaction leaves gaps after it."""
        ...

    def end_offsets(self, topic: str) -> Mapping[int, int]:
        """Per partition, the offset that the next record will get, or less (Kafka's transactions take an offset for their end)."""
        ...

    def reported(self, group: str, topic: str) -> Mapping[int, int]:
        """Per partition, how far a group was last reported to have come, its members living or not; partitions never reported
        are missing."""
        ...

    def delete(self, topic: str) -> None:
        """Delete a topic and all that is in it; nothing happens if there is none."""
        ...

    def publisher(self, fence: str | None = None) -> Publisher:
        """A publisher. With `fence`, opening one of the same name anywhere shuts the earlier one out: its `publish` then fails with
        `Unavailable` and nothing of it is seen. A fenced publisher that has failed may go on failing until it is opened anew."""
        ...

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """A new member of `group`."""
        ...

    def read(self, topic: str, partition: int, offset: int, max_records: int = 1000) -> list[Record]:
        """Up to `max_records` records from `offset` on, without a group (look-ups, checks)."""
        ...

    def ping(self) -> None:
        """Return if the bus answers, raise `Unavailable` if not, within about two seconds."""
        ...

    def close(self) -> None:
        """Release everything that this object opened."""
        ...
