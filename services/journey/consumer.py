"""Consumes `touchpoints` and `commands`: each batch becomes stored touchpoints, owners and facts, in one transaction with the positions.

Both topics have equally many partitions, and who holds one of `touchpoints` holds that of `commands` (docs/decisions/0003).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from schemas.topics import COMMANDS, DONE, TOUCHPOINTS
from schemas.touchpoint import Accepted
from schemas.vocabulary import Vocabulary
from services.journey.domain.commands import read_decision, read_done
from services.journey.domain.derive import Derived, derive
from services.journey.monitoring import Monitoring
from services.journey.store.commanding import Commanding
from services.journey.store.generation import MEND, Generation
from services.journey.store.ownership import Lockable
from services.journey.store.receipts import Receipts
from services.journey.store.refolding import Derive
from services.journey.store.write import Incoming, NotLocked, Writer
from services.shared.bus import Bus, Record
from services.shared.clock import Clock
from services.shared.consume import ConsumeLoop
from services.shared.db import Database
from services.shared.errors import Rejected
from services.shared.log import Log
from services.shared.positions import Positions
from services.shared.rejects import Rejects

GROUP = "journey"
TOPICS = [TOUCHPOINTS, COMMANDS, DONE]
TOLD_OF = (TOUCHPOINTS, COMMANDS)
"""Topics whose positions others are told."""
BATCH = 10_000
"""Records at most in one transaction: what lies ready when journey is behind. The larger, the fewer rows are written twice."""
_accepted = msgspec.json.Decoder(Accepted)
Read = TypeVar("Read")


def derivation(vocabulary: Vocabulary) -> Derive:
    """Reads touchpoints by this vocabulary."""

    def read(body: bytes, original_us: int | None = None) -> Derived:
        try:
            derived = derive(_accepted.decode(body), vocabulary, original_us)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Rejected("invalid_record", f"this is no touchpoint as ingest publishes it: {error}") from None
        if not derived.identities:
            raise Rejected("no_identity", "give at least one identity, an order or a case", "/identities")
        return derived

    return read


class Consumer:
    """The consuming half of the room: a loop on a thread of its own from `start` to `stop`. `on_commit` runs after each commit."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        generation: Generation,
        commanding: Commanding,
        writer: Writer,
        read: Derive,
        monitoring: Monitoring,
        on_commit: Callable[[], None],
        clock: Clock,
        log: Log,
    ) -> None:
        self._database, self._read = database, read
        self._generation, self._commanding, self._writer = generation, commanding, writer
        self._monitoring, self._clock = monitoring, clock
        self._rejects, self._done = Rejects(bus, GROUP, clock), Receipts(database)
        self._positions = Positions(database, MEND)
        self._also: frozenset[Lockable] = frozenset()
        self._loop = ConsumeLoop(
            bus, database, self._positions, GROUP, TOPICS, self.apply, self.reject, self._committed, log, BATCH
        )
        self._on_commit, self._is_to_sweep = on_commit, False
        monitoring.watch_lag(self.lag)
        monitoring.watch_stopped(lambda: len(self._loop.stopped))

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()
        self._rejects.close()

    def _committed(self) -> None:
        self._on_commit()
        if self._is_to_sweep:
            self._is_to_sweep = False
            self._database.sweep()

    def assignment(self) -> frozenset[int]:
        """The partitions that this process serves, of `touchpoints` and `commands` and so of `journeys`."""
        return self._loop.assignment()

    def positions(self, tx: Connection) -> dict[tuple[str, int], int]:
        """The next offset to read, of every (topic, partition)."""
        return {pair: offset for pair, offset in self._positions.offsets(tx).items() if pair[0] in TOLD_OF}

    def well(self) -> None:
        """See `ConsumeLoop.well`."""
        self._loop.well()

    def lag(self) -> Mapping[int, int]:
        """Records not taken yet, of each partition that this process holds."""
        return self._loop.lag(TOLD_OF)

    def apply(self, tx: Connection, records: Sequence[Record], *, refuses: bool = True) -> None:
        """Take a batch, in the loop's transaction. What can't be read is kept in `touchpoints.rejected` first. Touchpoints of erased
        people are refused, unless they are of those that were kept before.

        Raises Unavailable if the tables were made with other settings than this process has.
        """
        self._generation.hold(tx)
        with self._monitoring.batch_seconds.time():
            decisions, bad_commands = _read_all(records, COMMANDS, read_decision)
            done, bad_done = _read_all(records, DONE, read_done)
            batch, bad_touchpoints = _read_all(records, TOUCHPOINTS, lambda body: Incoming(self._read(body), body))
            self._reject_all([*bad_commands, *bad_done, *bad_touchpoints])
            try:
                self._commanding.take(tx, decisions, self._also)
                self._is_to_sweep |= any(decision.action == "erase" for decision in decisions)
                refused = self._writer.take(tx, batch, self._also, refuses=refuses)
                self._done.put(tx, done)
            except NotLocked as error:
                self._also |= error.identities
                raise
            self._also = frozenset()
        self._monitoring.refused.inc(refused)
        self._monitoring.records.inc(len(records))
        oldest_ms = min(record.timestamp_ms for record in records)
        self._monitoring.freshness_seconds.observe(max(0.0, self._clock() / 1e6 - oldest_ms / 1e3))

    def reject(self, record: Record, error: Rejected) -> None:
        """Keep a record that can't be processed."""
        self._reject_all([(record, error)])

    def _reject_all(self, refused: Sequence[tuple[Record, Rejected]]) -> None:
        if refused:
            self._rejects.keep_all(refused)
        for _, error in refused:
            self._monitoring.rejected.labels(error.code).inc()


def _read_all(
    records: Sequence[Record], topic: str, read: Callable[[bytes], Read]
) -> tuple[list[Read], list[tuple[Record, Rejected]]]:
    """The records of one topic, read, and those that can't be."""
    found, refused = [], []
    for record in records:
        if record.topic == topic:
            try:
                found.append(read(record.value or b""))
            except Rejected as error:
                refused.append((record, error))
    return found, refused
