"""Consumes `touchpoints.rejected`: what any room refused becomes a row that can be listed and replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from schemas.topics import REJECTED
from services.ingest.domain.kept import Kept, Place, read, unreadable
from services.ingest.meters import Meters
from services.ingest.restarting import Restarting
from services.ingest.store.rejected import RejectedRecords
from services.shared.bus import Bus, Record
from services.shared.clock import Clock
from services.shared.consume import ConsumeLoop
from services.shared.db import Database
from services.shared.errors import Misplaced, Rejected, Unavailable, WaypostError
from services.shared.log import Log
from services.shared.waiting import Waiting

GROUP = "ingest"
TOPICS = (REJECTED,)
BATCH = 500


class Consumer:
    """The consuming half of ingest: a loop on a thread of its own from `start` to `stop`."""

    def __init__(self, bus: Bus, database: Database, meters: Meters, waiting: Waiting, clock: Clock, log: Log) -> None:
        self._bus, self._database, self._meters, self._clock, self._log = bus, database, meters, clock, log
        self._records = RejectedRecords(database)
        self._positions = Restarting(database, bus, log)
        self._loop = ConsumeLoop(
            bus, database, self._positions, GROUP, TOPICS, self.apply, self._keep_as_it_is, waiting.notify, log, BATCH
        )
        meters.watch(self.lag, lambda: len(self._loop.stopped))

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def positions(self, tx: Connection) -> dict[tuple[str, int], int]:
        """The next offset to read, of every (topic, partition)."""
        return {pair: stored.next_offset for pair, stored in self._positions.read(tx).items()}

    def well(self) -> None:
        """Raises Misplaced for partitions that can't go on, Unavailable for trouble that may pass."""
        if self._loop.stopped:
            raise Misplaced("; ".join(sorted(set(self._loop.stopped.values()))))
        if self._loop.trouble is not None:
            raise Unavailable(self._loop.trouble)

    def lag(self) -> Mapping[int, int]:
        """Rejected records not stored yet, of each partition that this process holds."""
        ends = self._bus.end_offsets(REJECTED)
        with self._database.snapshot() as tx:
            positions = self.positions(tx)
        held = self._loop.assignment()
        return {number: max(0, end - positions.get((REJECTED, number), 0)) for number, end in ends.items() if number in held}

    def apply(self, tx: Connection, records: Sequence[Record]) -> None:
        """Store a batch, in the loop's transaction."""
        self._records.put(tx, [self._read(record) for record in records])

    def _read(self, record: Record) -> Kept:
        """What a record says. One that says nothing readable is itself refused: it is stored, and never published again."""
        at = Place(record.topic, record.partition, record.offset)
        try:
            kept = read(record.value or b"", at)
        except Rejected as reason:
            self._meters.rejected_record(reason.code)
            return self._unreadable(record, reason)
        return kept if kept.body is not None or kept.place is None else self._with_body(kept, kept.place)

    def _with_body(self, kept: Kept, place: Place) -> Kept:
        """The bytes of a record that was too large to be published again are where it is, unless that is gone."""
        try:
            found = self._bus.read(*place, max_records=1)
        except Misplaced:
            return kept
        body = found[0].value or b"" if found and found[0].offset == place.offset else b""
        return kept._replace(body=body) if kept.has_digest_of(body) else kept

    def _unreadable(self, record: Record, reason: Rejected) -> Kept:
        at = Place(record.topic, record.partition, record.offset)
        return unreadable(record.value or b"", record.key, at, min(self._clock(), 1000 * record.timestamp_ms), reason)

    def _keep_as_it_is(self, record: Record, reason: Rejected) -> None:
        """The last resort for a record whose row the database did not take: its bytes, with a reason that it can.

        If it takes not even that, the record is left out, said so once in the log, and counted; it stays on the bus for as long
        as that keeps it. Nothing is tried for ever but what is away.
        """
        self._meters.rejected_record(reason.code)
        plain = Rejected(reason.code, "the database did not take what this record says; its bytes are kept as they are")
        try:
            with self._database.transaction() as tx:
                self._records.put(tx, [self._unreadable(record, plain)])
        except WaypostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, one record must not stop its partition
            self._meters.rejected_record("not_storable")
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            self._log.error("rejected_record_left_out", error=type(error).__name__, **place)
