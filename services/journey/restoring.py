"""After journey's tables were restored from a backup: the topic `journeys` may hold what they have not come to yet.

Readers of the topic know versions of months that these tables know nothing of, and may never come to in the same steps: two people
who became one in two batches then may become one in a single batch now, and nobody would ever hear that the second is gone. So
whatever the topic has beyond the tables is published anew, under a new epoch: the month as it is here, or as gone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_number
from schemas.facts import WATERMARK_KEY
from schemas.topics import JOURNEYS
from services.journey.relay import watermark
from services.journey.store import spread
from services.journey.store.departing import GoneMonth, GoneMonths
from services.journey.store.destination import Destination
from services.journey.store.tables import UNPUBLISHED
from services.journey.store.versions import EPOCH_BITS, next_version
from services.shared.bus import Bus, Outgoing, Record
from services.shared.db import Database, Keys
from services.shared.positions import Positions
from services.shared.publishing import held

PAGE = 2_000
PUBLISH_TIMEOUT_S = 60.0


class Restored(NamedTuple):
    """The epoch from now on, and how many months are published again and published as gone."""

    epoch: int
    again: int
    gone: int


class _Ahead(NamedTuple):
    """A month of which the topic has a version that the tables have not; `root` None: a person whom they don't know."""

    partition: int
    person_id: str
    month: str
    root: int | None


class _Published(msgspec.Struct):
    version: int
    gone: bool = False


_decode = msgspec.json.Decoder(_Published).decode


def epoch_of(connection: sqlite3.Connection) -> int:
    """The epoch of a copy of the embedded database."""
    return int(connection.execute("SELECT epoch FROM installation").fetchone()[0])


def begin_epoch(database: Database, bus: Bus, on_progress: Callable[[int], None]) -> Restored:
    """Bring tables and topic together; no journey process may run. Doing it twice does no harm. Raises Unavailable."""
    with database.transaction() as tx:
        if database.is_postgres:
            tx.exec_driver_sql("LOCK TABLE position IN EXCLUSIVE MODE")
        partitions = spread.fitted(database, tx, bus.describe(JOURNEYS).partitions)
        highest, ahead = _compare(database, tx, bus, on_progress)
        (stored,) = database.execute(tx, "SELECT epoch FROM installation")[0]
        epoch = max(stored, highest >> EPOCH_BITS) + 1
        database.execute(tx, "UPDATE installation SET epoch = :epoch", {"epoch": epoch})
        version = next_version(database, tx)
        known = [month for month in ahead if month.root is not None]
        unknown = [month for month in ahead if month.root is None]
        _publish_again(database, tx, known, version)
        Destination(database, partitions).begin_again(tx)  # the topic may lack what the tables have
        GoneMonths(database).put(
            tx, [GoneMonth(month.partition, month.person_id, month_number(month.month), version) for month in unknown]
        )
        _publish_marks(database, tx, bus)
    return Restored(epoch, len(known), len(unknown))


def _compare(database: Database, tx: Connection, bus: Bus, on_progress: Callable[[int], None]) -> tuple[int, list[_Ahead]]:
    """The highest version on the topic, and the months of which the topic knows more than the tables."""
    highest, ahead, done = 0, dict[tuple[str, str], _Ahead](), 0
    for records in _pages(bus):
        published = {key: (partition, month) for partition, key, month in filter(None, map(_read, records))}
        highest = max([highest, *(month.version for _, month in published.values())])
        for key, (root, version) in _stored(database, tx, list(published)).items():
            partition, month = published[key]
            person_id, _, name = key.rpartition("/")
            if month.version > version if version is not None else not month.gone:
                ahead[person_id, name] = _Ahead(partition, person_id, name, root)
        done += len(records)
        on_progress(done)
    return highest, list(ahead.values())


def _read(record: Record) -> tuple[int, str, _Published] | None:
    """A record of a person-month; None for a tombstone, and for what metrics rejects as well."""
    try:
        key, month = record.key.decode(), _decode(record.value or b"")
        month_number(key.rpartition("/")[2])
    except ValueError:
        return None
    return record.partition, key, month


def _pages(bus: Bus) -> Iterator[Sequence[Record]]:
    """The person-months on the topic, page by page."""
    begins, ends = bus.begin_offsets(JOURNEYS), bus.end_offsets(JOURNEYS)
    for partition, end in ends.items():
        offset = begins[partition]
        while offset < end and (records := bus.read(JOURNEYS, partition, offset, PAGE)):
            offset = records[-1].offset + 1
            yield [record for record in records if record.key != WATERMARK_KEY]


def _stored(database: Database, tx: Connection, keys: Sequence[str]) -> dict[str, tuple[int | None, int | None]]:
    """(root, version) of each month as the tables have it, None for what they don't have."""
    rows = [(key, key.rpartition("/")[0], month_number(key.rpartition("/")[2])) for key in keys]
    found = database.execute(
        tx,
        "SELECT k.key, p.root_id, m.version FROM {k} LEFT JOIN person p ON p.person_id = k.person_id "
        "LEFT JOIN month m ON m.root_id = p.root_id AND m.month = k.month",
        k=Keys({"key": "text", "person_id": "text", "month": "bigint"}, rows),
    )
    return {row[0]: (row[1], row[2]) for row in found}


def _publish_again(database: Database, tx: Connection, months: Sequence[_Ahead], version: int) -> None:
    """List them for the relay: as they are in the tables, or as gone."""
    rows = [(month.partition, month.root, month_number(month.month), version) for month in months]
    columns = ("partition", "root_id", "month", "version")
    newer = "ON CONFLICT (partition, root_id, month) DO UPDATE SET version = excluded.version"
    database.insert(tx, UNPUBLISHED, columns, rows, newer)
    database.execute(
        tx,
        "UPDATE month SET version = :version WHERE (root_id, month) IN (SELECT k.root_id, k.month FROM {k})",
        {"version": version},
        k=Keys({"root_id": "bigint", "month": "bigint"}, [(row[1], row[2]) for row in rows]),
    )
    database.execute(
        tx,
        "UPDATE person SET version = :version WHERE root_id IN (SELECT k.root_id FROM {k})",
        {"version": version},
        k=Keys({"root_id": "bigint"}, sorted({(row[1],) for row in rows})),
    )


def _publish_marks(database: Database, tx: Connection, bus: Bus) -> None:
    """Nobody may go on believing that journey is as far as it was."""
    mark = watermark(Positions(database).offsets(tx))
    publisher = bus.publisher()
    try:
        marks = [Outgoing(JOURNEYS, WATERMARK_KEY, mark, partition) for partition in bus.end_offsets(JOURNEYS)]
        held(publisher.publish(marks), "watermarks", PUBLISH_TIMEOUT_S)
    finally:
        publisher.close()
