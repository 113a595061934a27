"""Derives, owns and folds everything anew from journey's own stored touchpoints, in one transaction.

For when what is derived changed – the vocabulary, the time zone, the timeout, the code – or a topic was recreated. Nothing of the
topics `touchpoints` and `commands` is needed. Person ids and journey ids stay, former ones too; every month that was published is published again
under a higher version, as gone where nothing is left of it. Questions are answered from the state before until the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from schemas.topics import COMMANDS, TOUCHPOINTS
from services.journey.domain.state import State, encode_state
from services.journey.store.ownership import Lockable
from services.journey.store.people import People, pack
from services.journey.store.refolding import NO_KEY, Derive
from services.journey.store.tables import POSITION, UNPUBLISHED
from services.journey.store.write import Incoming, NotLocked, Writer
from services.shared.bus import Bus, partition_of
from services.shared.db import Database

BATCH = 2000
PAGE = 10_000
_IN_ORDER = "time_us, original_us, case_rank, source, id, anchor_id"


class Rebuilding:
    """`on_progress` is told (touchpoints done, of how many) after each batch."""

    def __init__(
        self, database: Database, people: People, writer: Writer, derive: Derive, on_progress: Callable[[int, int], None]
    ) -> None:
        self._db, self._people, self._writer, self._derive = database, people, writer, derive
        self._on_progress = on_progress

    def rebuild(self, bus: Bus, partitions: int) -> int:
        """Returns the number of touchpoints. Consumers wait meanwhile.

        Raises Rejected, and changes nothing, if a stored touchpoint would have no identity any more.
        """
        with self._db.transaction() as tx:
            self._keep_others_out(tx)
            for topic in (TOUCHPOINTS, COMMANDS):
                self._place(tx, bus, topic)
            tx.exec_driver_sql("UPDATE installation SET epoch = epoch + 1")
            total = self._set_aside(tx)
            self._announce(tx, partitions)
            self._reset(tx)
            done = 0
            for bodies in self._bodies(tx, total):
                self._take(tx, [Incoming(self._derive(body), body) for body in bodies])
                done += len(bodies)
                self._on_progress(done, total)
            tx.exec_driver_sql("DROP TABLE rebuilding")
        return total

    def _keep_others_out(self, tx: Connection) -> None:
        """Every batch of a consumer begins by moving its position; on SQLite this transaction is the only writer anyway."""
        if self._db.is_postgres:
            tx.exec_driver_sql("LOCK TABLE position IN EXCLUSIVE MODE")

    def _place(self, tx: Connection, bus: Bus, topic: str) -> None:
        """Positions that don't fit a topic any more begin anew with what the topic has; what comes again is recognised."""
        info, begins, ends = bus.describe(topic), bus.begin_offsets(topic), bus.end_offsets(topic)
        rows = self._db.execute(
            tx, "SELECT partition, topic_id, partitions, next_offset FROM position WHERE topic = :topic", {"topic": topic}
        )
        stored = {
            row[0]: row[3] for row in rows if (row[1], row[2]) == (info.id, info.partitions) and _is_there(row, begins, ends)
        }
        self._db.execute(tx, "DELETE FROM position WHERE topic = :topic", {"topic": topic})
        self._db.insert(
            tx,
            POSITION,
            ("topic", "partition", "topic_id", "partitions", "next_offset"),
            [(topic, number, info.id, info.partitions, stored.get(number, begins[number])) for number in range(info.partitions)],
        )

    def _set_aside(self, tx: Connection) -> int:
        """Copy the bodies, numbered in the order of their times, so that most people are folded in order; how many."""
        tx.exec_driver_sql(
            f"CREATE TABLE rebuilding AS SELECT row_number() OVER (ORDER BY {_IN_ORDER}) AS number, body FROM touchpoint"
        )
        tx.exec_driver_sql("CREATE UNIQUE INDEX rebuilding_number ON rebuilding (number)")
        return int(self._db.execute(tx, "SELECT count(*) FROM rebuilding")[0][0])

    def _announce(self, tx: Connection, partitions: int) -> None:
        """Every month is to be published again; those that do not come back are gone."""
        version = self._people.next_version(tx)
        last = (-(2**62), 0)
        while rows := self._db.execute(
            tx,
            "SELECT m.root_id, m.month, p.person_id FROM month m JOIN person p ON p.root_id = m.root_id "
            "WHERE (m.root_id, m.month) > (:root, :month) ORDER BY m.root_id, m.month LIMIT :page",
            {"root": last[0], "month": last[1], "page": PAGE},
        ):
            last = (rows[-1][0], rows[-1][1])
            listed = [(partition_of(month_key(row[2], month_text(row[1])), partitions), row[0], row[1], version) for row in rows]
            self._db.insert(
                tx,
                UNPUBLISHED,
                ("partition", "root_id", "month", "version"),
                listed,
                "ON CONFLICT (partition, root_id, month) DO UPDATE SET version = excluded.version",
            )

    def _reset(self, tx: Connection) -> None:
        """As if no touchpoint had come yet, but for the ids of identities, people and journeys."""
        for table in ("touchpoint", "clock_day", "membership", "standing", "identity_set", "month", "service_case"):
            tx.exec_driver_sql(f"DELETE FROM {table}")
        tx.exec_driver_sql("UPDATE identity SET customers = 0, customer_id = NULL")
        tx.exec_driver_sql("UPDATE journey SET gone = true")
        self._db.execute(
            tx,
            "UPDATE person SET touchpoints = 0, suspected_bot = false, last_time_us = :time_us, last_original_us = :original_us, "
            "last_case_rank = :case_rank, last_source = :source, last_id = :id, state = :state",
            {**NO_KEY._asdict(), "state": pack(encode_state(State()))},
        )

    def _bodies(self, tx: Connection, total: int) -> Iterator[Sequence[bytes]]:
        for start in range(0, total, BATCH):
            rows = self._db.execute(
                tx,
                "SELECT body FROM rebuilding WHERE number > :start AND number <= :end ORDER BY number",
                {"start": start, "end": start + BATCH},
            )
            yield [bytes(row[0]) for row in rows]

    def _take(self, tx: Connection, batch: Sequence[Incoming]) -> None:
        also: frozenset[Lockable] = frozenset()
        while True:
            try:
                with tx.begin_nested():
                    self._writer.take(tx, batch, also)
                return
            except NotLocked as error:
                also |= error.identities


def _is_there(row: Sequence[int], begins: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    """Whether the topic still has what a position stands before."""
    return begins.get(row[0], 0) <= row[3] <= ends.get(row[0], 0)
