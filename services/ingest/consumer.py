"""Consumes `touchpoints.rejected`: what any room refused becomes a row that can be listed and replayed; and `commands`: who is
erased is not mentioned in any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from schemas.commands import Command, Done
from schemas.normal import Identities
from schemas.times import format_time, parse_time_us
from schemas.topics import COMMANDS, REJECTED
from services.ingest.domain.kept import Kept, Place, read, unreadable
from services.ingest.meters import Meters
from services.ingest.personal_data import PersonalData
from services.ingest.restarting import Restarting
from services.ingest.store.erased import Erase, Erased
from services.ingest.store.rejected import RejectedRecords
from services.shared.bus import Bus, Record
from services.shared.clock import Clock
from services.shared.consume import ConsumeLoop
from services.shared.db import Database
from services.shared.done import Saying
from services.shared.errors import Misplaced, Rejected, WaypostError
from services.shared.log import Log
from services.shared.waiting import Waiting

GROUP = "ingest"
TOPICS = (REJECTED, COMMANDS)
BATCH = 500
_COMMAND = msgspec.json.Decoder(Command)


class Consumer:
    """The consuming half of ingest: a loop on a thread of its own from `start` to `stop`."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        identities: Identities,
        personal_data: PersonalData,
        meters: Meters,
        waiting: Waiting,
        clock: Clock,
        log: Log,
    ) -> None:
        self._bus, self._database, self._meters, self._clock, self._log = bus, database, meters, clock, log
        self._identities, self._personal_data, self._waiting, self._saying = identities, personal_data, waiting, Saying(bus)
        self._records, self._erased = RejectedRecords(database), Erased(database)
        self._positions = Restarting(database, bus, log)
        self._loop = ConsumeLoop(
            bus, database, self._positions, GROUP, TOPICS, self.apply, self._keep_as_it_is, self._committed, log, BATCH
        )
        meters.watch(self.lag, lambda: len(self._loop.stopped))

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()
        self._saying.close()

    def positions(self, tx: Connection) -> dict[tuple[str, int], int]:
        """The next offset to read, of every (topic, partition)."""
        return self._positions.offsets(tx)

    def well(self) -> None:
        """See `ConsumeLoop.well`."""
        self._loop.well()

    def lag(self) -> Mapping[int, int]:
        """Rejected records not stored yet, of each partition that this process holds."""
        return self._loop.lag([REJECTED])

    def apply(self, tx: Connection, records: Sequence[Record]) -> None:
        """Store a batch and erase who is to be erased, in the loop's transaction."""
        erases = [erase for record in records if record.topic == COMMANDS and (erase := self._erase_of(record)) is not None]
        kept = [self._read(record) for record in records if record.topic == REJECTED]
        self._erased.lock(tx, bool(erases))
        if kept:
            self._records.put(tx, self._erased.keepable(tx, kept))
        for erase in erases:
            removed = self._erased.erase(tx, erase)
            self._log.info("rejected_records_erased", command=erase.command, removed=removed)

    def _erase_of(self, record: Record) -> Erase | None:
        """What a command wants of this room, None for nothing. What is no command at all is journey's to refuse, and to keep."""
        try:
            command = _COMMAND.decode(record.value or b"")
            if command.action != "erase":
                return None
            named = [self._identities.name(name) for name in command.identities]
            also = [form for name in named for form in self._personal_data.also(name)]
            return Erase(command.id, also, parse_time_us(command.at))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Rejected):
            return None

    def _committed(self) -> None:
        """Tell the readers of this process, and other rooms what was erased: again whenever that was not certain."""
        self._waiting.notify()
        with self._database.snapshot() as tx:
            unsaid = self._erased.unsaid(tx)
        if not unsaid:
            return
        self._database.sweep()
        at = format_time(self._clock())
        self._saying.say(
            [Done(command=one.command, room="ingest", at=at, removed={"rejected_records": one.removed}) for one in unsaid]
        )
        with self._database.transaction() as tx:
            self._erased.note_said(tx, unsaid)

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
        if record.topic != REJECTED:  # a command stays in its topic for ever, and nobody is told that it was carried out
            return
        plain = Rejected(reason.code, "the database did not take what this record says; its bytes are kept as they are")
        try:
            with self._database.transaction() as tx:
                self._erased.lock(tx, erasing=False)
                self._records.put(tx, self._erased.keepable(tx, [self._unreadable(record, plain)]))
        except WaypostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, one record must not stop its partition
            self._meters.rejected_record("not_storable")
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            self._log.error("rejected_record_left_out", error=type(error).__name__, **place)
