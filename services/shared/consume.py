"""The loop that every consuming room runs: poll → one transaction (apply, move the positions) → tell.

Each record takes effect exactly once, whatever dies: its effect and the position behind it commit together, and the position
moves by compare-and-set, so of two members that hold one partition during a hand-over exactly one commits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sqlalchemy import Connection

from services.shared.bus import Bus, Consumer, Record, TopicInfo
from services.shared.db import Database
from services.shared.errors import Contended, Misplaced, PositionMoved, Rejected, Unavailable
from services.shared.log import Log
from services.shared.positions import Positions

POLL_S = 0.1
"""How long to wait for records before looking at anything else, such as whether to stop."""
REPORT_S = 1.0
"""How often the bus is told, at most, how far the group has come."""
LOOK_S = 2.0
"""How often to look whether the topics are still what they were, and whether a partition that is stopped can go on."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0


class Apply(Protocol):
    """What a room does with records."""

    def __call__(self, tx: Connection, records: Sequence[Record]) -> None:
        """Bring the state up to these records, in the transaction given. May be called again with the same records after a rollback.

        Raises Unavailable to be called again later. Any other error makes the loop try the records one by one.
        """
        ...


class ConsumeLoop:
    """Consumes `topics` as one member of `group` on a thread of its own, until `stop`.

    `reject(record, error)` keeps a record that can't be processed, durably, before its position moves; it raises Unavailable
    when it cannot. `on_commit()` runs after each commit and after each change of assignment, on the loop's thread.
    """

    def __init__(
        self,
        bus: Bus,
        database: Database,
        positions: Positions,
        group: str,
        topics: Sequence[str],
        apply: Apply,
        reject: Callable[[Record, Rejected], None],
        on_commit: Callable[[], None],
        log: Log,
        batch: int = 2000,
    ) -> None:
        self._bus, self._database, self._positions = bus, database, positions
        self._group, self._topics, self._batch = group, topics, batch
        self._apply, self._reject, self._on_commit, self._log = apply, reject, on_commit, log
        self._next: dict[tuple[str, int], int] = {}
        self._reported: dict[tuple[str, int], int] = {}
        self._report_due_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"consume {group}", daemon=True)
        self.stopped: Mapping[tuple[str, int], str] = {}
        """Partitions that this member holds but cannot go on with, and why; shown by /health/ready."""
        self.trouble: str | None = None
        """What is away at the moment, None if all is well."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Finish the batch in hand, leave the group, end the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def assignment(self) -> frozenset[int]:
        """The partition numbers that this member holds and goes on with."""
        return frozenset(partition for _, partition in self._next)

    def well(self) -> None:
        """Raises Misplaced for partitions that can't go on, Unavailable for trouble that may pass."""
        if self.stopped:
            raise Misplaced("; ".join(sorted(set(self.stopped.values()))))
        if self.trouble is not None:
            raise Unavailable(self.trouble)

    def lag(self, topics: Sequence[str]) -> Mapping[int, int]:
        """Records of these topics that are not taken yet, of each partition that this member holds and goes on with."""
        ends = {topic: self._bus.end_offsets(topic) for topic in topics}
        with self._database.snapshot() as tx:
            offsets = self._positions.offsets(tx)
        return {
            partition: sum(max(0, ends[topic].get(partition, 0) - offsets.get((topic, partition), 0)) for topic in topics)
            for partition in self.assignment()
        }

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._session()
            except PositionMoved:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop must not end silently: it says so and comes again
                self._pause(error, pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                pause_s = FIRST_PAUSE_S

    def _session(self) -> None:
        """One membership of the group: ends when asked to stop or when a topic is not what it was, or raises Unavailable."""
        topics, look_s = self._describe(), time.monotonic() + LOOK_S
        consumer = self._bus.consumer(self._group, self._topics)
        self._next, self._reported, self.stopped = {}, {}, {}
        try:
            while not self._stopping.is_set():
                if time.monotonic() >= look_s:
                    if self._describe() != topics:
                        return
                    self._seek_stopped(consumer)
                    look_s = time.monotonic() + LOOK_S
                records = self._poll(consumer)
                self._follow_assignment(consumer)
                if wanted := [record for record in records if self._is_next(record)]:
                    self._take(consumer, wanted)
                self._report(consumer)
                self.trouble = None
        finally:
            self._next = {}
            consumer.close()

    def _report(self, consumer: Consumer) -> None:
        """Tell the bus what is committed, for others to see."""
        if self._next != self._reported and time.monotonic() >= self._report_due_s:
            consumer.report(self._next)
            self._reported, self._report_due_s = dict(self._next), time.monotonic() + REPORT_S

    def _poll(self, consumer: Consumer) -> list[Record]:
        """The next records; partitions whose position the bus does not have any more are stopped."""
        try:
            return consumer.poll(POLL_S, self._batch)
        except Misplaced:
            self._seek_all(consumer)
            self._on_commit()
            return []

    def _describe(self) -> list[TopicInfo]:
        return [self._bus.describe(topic) for topic in self._topics]

    def _is_next(self, record: Record) -> bool:
        return record.offset >= self._next.get((record.topic, record.partition), record.offset + 1)

    def _follow_assignment(self, consumer: Consumer) -> None:
        held = consumer.assignment()
        lost = self._next.keys() - held
        gained = held - self._next.keys() - self.stopped.keys()
        if not lost and not gained:
            return
        for pair in lost:
            del self._next[pair]
        self.stopped = {pair: why for pair, why in self.stopped.items() if pair in held}
        for pair in sorted(gained):
            self._seek(consumer, *pair)
        self._on_commit()

    def _seek(self, consumer: Consumer, topic: str, partition: int) -> None:
        """Go on from where the room stands; a partition whose position does not fit the topic any more is stopped, loudly."""
        info = self._bus.describe(topic)
        try:
            with self._database.transaction() as tx:
                offset = self._positions.start(tx, info, partition)
            consumer.seek(topic, partition, offset)
        except Misplaced as error:
            self._next.pop((topic, partition), None)
            self._stop_partition(topic, partition, error)
        else:
            self._next[topic, partition] = offset
            self.stopped = {pair: why for pair, why in self.stopped.items() if pair != (topic, partition)}

    def _stop_partition(self, topic: str, partition: int, error: Misplaced) -> None:
        why = f"{error} (to go on, run `{self._positions.mend}`)"
        if self.stopped.get((topic, partition)) == why:
            return
        self.stopped = {**self.stopped, (topic, partition): why}
        self._log.error("partition_stopped", topic=topic, partition=partition, reason=why)

    def _take(self, consumer: Consumer, records: list[Record]) -> None:
        try:
            self._commit(records)
        except PositionMoved:
            self._seek_all(consumer)
            return
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not block the partition: isolate the record that causes it
            self._log.error("batch_failed", group=self._group, error=repr(error), records=len(records))
            self._take_one_by_one(consumer, records)
        self._on_commit()

    def _seek_all(self, consumer: Consumer) -> None:
        """Another member went on from where this one stood: go on from where the room stands now."""
        for pair in list(self._next):
            self._seek(consumer, *pair)

    def _seek_stopped(self, consumer: Consumer) -> None:
        """Go on where somebody has mended what was in the way."""
        before = self.stopped.keys() & consumer.assignment()
        for pair in sorted(before):
            self._seek(consumer, *pair)
        if before - self.stopped.keys():
            self._on_commit()

    def _take_one_by_one(self, consumer: Consumer, records: list[Record]) -> None:
        for record in records:
            try:
                self._commit([record])
            except PositionMoved:
                self._seek_all(consumer)
                return
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - kept in touchpoints.rejected with its reason, never dropped
                reason = Rejected.because(error)
                self._log.error(
                    "record_rejected", topic=record.topic, partition=record.partition, offset=record.offset, code=reason.code
                )
                self._reject(record, reason)
                with self._database.transaction() as tx:
                    self._positions.move(tx, self._moves([record]))
                self._advance([record])

    def _commit(self, records: Sequence[Record]) -> None:
        """One transaction, tried for as long as something outside is in the way; the membership of the group is kept meanwhile."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                with self._database.transaction() as tx:
                    self._positions.move(tx, self._moves(records))
                    self._apply(tx, records)
            except Contended:
                continue
            except Unavailable as error:
                if self._stopping.is_set():
                    raise
                self._pause(error, pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                break
        self._advance(records)

    def _pause(self, error: Exception, pause_s: float) -> None:
        self.trouble = str(error) if isinstance(error, Unavailable) else repr(error)
        self._log.warning("consume_paused", group=self._group, reason=self.trouble, pause_s=pause_s)
        self._stopping.wait(pause_s)

    def _moves(self, records: Sequence[Record]) -> dict[tuple[str, int], tuple[int, int]]:
        last = {(record.topic, record.partition): record.offset + 1 for record in records}
        return {pair: (self._next[pair], offset) for pair, offset in last.items()}

    def _advance(self, records: Sequence[Record]) -> None:
        for record in records:
            self._next[record.topic, record.partition] = record.offset + 1
