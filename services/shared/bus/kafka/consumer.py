"""Consuming from Kafka as a member of a group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from services.shared.bus import Record
from services.shared.bus.kafka.assignor import CopartitionedAssignor
from services.shared.bus.kafka.driver import translated
from services.shared.errors import Misplaced, Unavailable

SLICE_S = 0.1
"""How long one poll of kafka-python may take: a change of assignment is told that soon."""
PROBE_S = 3.0
"""When nothing came for so long, ask the broker for something: kafka-python's poll does not tell that the broker is away."""
PROBE_TIMEOUT_S = 2.0


def to_record(found: Any) -> Record:
    """kafka-python's record as ours."""
    return Record(found.topic, found.partition, found.offset, found.key or b"", found.value, found.timestamp)


class KafkaGroupConsumer:
    """A `Consumer`. kafka-python keeps the membership alive on a thread of its own; rebalances happen inside `poll`."""

    def __init__(self, open_consumer: Callable[[CopartitionedAssignor], Any], topics: Sequence[str]) -> None:
        self._assignor = CopartitionedAssignor()
        self._held: frozenset[tuple[str, int]] = frozenset()
        self._positions: dict[tuple[str, int], int] = {}
        self._bounds: dict[tuple[str, int], tuple[int, int]] = {}
        self._new: set[tuple[str, int]] = set()
        self._probe = TopicPartition(topics[0], 0)
        self._answered = time.monotonic()
        self.closed = False
        with translated():
            self._consumer = open_consumer(self._assignor)
            self._consumer.subscribe(topics, listener=_Listener(self._given, self._assignor.forget))

    def poll(self, timeout_s: float, max_records: int = 1000) -> list[Record]:
        """See `Consumer.poll`."""
        if self.closed:
            raise Unavailable("kafka: this consumer is closed")
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            records = self._poll(min(SLICE_S, left_s), max_records)
            if self._rebalanced() or records or left_s == 0.0:
                return records
            self._check_alive()

    def assignment(self) -> frozenset[tuple[str, int]]:
        """See `Consumer.assignment`."""
        return self._held

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """See `Consumer.seek`."""
        where = (topic, partition)
        if where not in self._held:
            raise ValueError(f"{topic}/{partition} is not held by this consumer")
        with translated():
            if where not in self._bounds or offset > self._bounds[where][1]:
                self._ask_bounds()
            begin, end = self._bounds[where]
            if not begin <= offset <= end:
                self._stop(where)
                raise Misplaced(f"{topic}/{partition} holds offsets {begin} to {end}, {offset} was asked for")
            self._go_on(where, offset)

    def report(self, positions: Mapping[tuple[str, int], int]) -> None:
        """See `Consumer.report`: commits the offsets, without waiting."""
        offsets = {
            TopicPartition(*where): OffsetAndMetadata(offset, "", -1)
            for where, offset in positions.items()
            if where in self._held
        }
        if offsets and not self.closed:
            with translated():
                self._consumer.commit_async(offsets)

    def close(self) -> None:
        """See `Consumer.close`."""
        if self.closed:
            return
        self.closed = True
        self._held, self._positions = frozenset(), {}
        with translated():
            self._consumer.close(autocommit=False, timeout_ms=int(PROBE_TIMEOUT_S * 1000))

    def _poll(self, timeout_s: float, max_records: int) -> list[Record]:
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            # kafka-python 3.0 forgets a join that was under way when a poll timed out, if new metadata was what had caused it: the
            # member then neither takes its assignment nor sends heartbeats, for ever. Asking again makes it see the join through.
            coordinator.request_rejoin()
        try:
            with translated():
                found = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        except Misplaced as error:
            if isinstance(error.__cause__, OffsetOutOfRangeError | LogTruncationError):
                for partition in error.__cause__.args[0]:
                    self._stop((partition.topic, partition.partition))
            raise
        records = [to_record(each) for of_partition in found.values() for each in of_partition]
        for record in records:
            self._positions[record.topic, record.partition] = record.offset + 1
        if records:
            self._answered = time.monotonic()
        return records

    def _rebalanced(self) -> bool:
        """Take over what the group gave; True if that is new. What was lost and given back within one poll goes on."""
        if self.closed:
            return True
        held = frozenset((partition.topic, partition.partition) for partition in self._consumer.assignment())
        if not self._new and held == self._held:
            return False
        new, self._new = self._new, set()
        for where in new & self._positions.keys() & held:
            self._go_on(where, self._positions[where])
        self._positions = {where: offset for where, offset in self._positions.items() if where in held}
        self._bounds = {}
        changed, self._held = held != self._held, held
        return changed

    def _given(self, partitions: Iterable[TopicPartition]) -> None:
        """On kafka-python's thread, within our poll: newly given partitions get a place, any place, and wait for `seek`."""
        for partition in partitions:
            self._consumer.seek(partition, 0)
            self._consumer.pause(partition)
            self._new.add((partition.topic, partition.partition))

    def _go_on(self, where: tuple[str, int], offset: int) -> None:
        self._consumer.seek(TopicPartition(*where), offset)
        self._consumer.resume(TopicPartition(*where))
        self._positions[where] = offset

    def _stop(self, where: tuple[str, int]) -> None:
        self._positions.pop(where, None)
        self._bounds = {}  # what we know of beginnings is out of date
        self._consumer.pause(TopicPartition(*where))

    def _ask_bounds(self) -> None:
        """What every partition held begins and ends with, in two questions."""
        partitions = [TopicPartition(*where) for where in self._held]
        timeout_ms = int(PROBE_TIMEOUT_S * 1000)
        begin = self._consumer.beginning_offsets(partitions, timeout_ms=timeout_ms)
        end = self._consumer.end_offsets(partitions, timeout_ms=timeout_ms)
        self._bounds = {(p.topic, p.partition): (begin[p], end[p]) for p in partitions}

    def _check_alive(self) -> None:
        if time.monotonic() - self._answered > PROBE_S:
            with translated():
                self._consumer.end_offsets([self._probe], timeout_ms=int(PROBE_TIMEOUT_S * 1000))
            self._answered = time.monotonic()


class _Listener:
    """What kafka-python calls when the assignment changes."""

    def __init__(self, given: Callable[[Iterable[TopicPartition]], None], forget: Callable[[], None]) -> None:
        self._given = given
        self._forget = forget

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._given(assigned)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing to do: positions are the caller's."""

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self._forget()


ConsumerRebalanceListener.register(_Listener)
