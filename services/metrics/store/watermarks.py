"""How far journey had come when it published what is counted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.facts import Watermark
from services.metrics.store.tables import WATERMARK
from services.shared.bus import Record
from services.shared.db import Database
from services.shared.errors import Rejected

Places = Mapping[tuple[str, int], int]
"""{(topic, partition): offset of the next record to read}."""

_PUT = "ON CONFLICT (partition) DO UPDATE SET body = excluded.body, at_ms = excluded.at_ms"
_WATERMARK = msgspec.json.Decoder(Watermark)
_POSITIONS = msgspec.json.Decoder(dict[str, dict[str, int]])


class Passed(NamedTuple):
    """The newest watermark that one partition of `journeys` has brought: journey's positions, and when the bus took it."""

    positions: Places
    at_ms: int


def put(database: Database, tx: Connection, records: Sequence[Record]) -> None:
    """Store watermark records; the last of each partition counts. Raises Rejected for one that is none."""
    newest = {record.partition: row_of(record) for record in records}
    found = [(partition, *row) for partition, row in sorted(newest.items())]
    database.insert(tx, WATERMARK, ("partition", "body", "at_ms"), found, _PUT)


def row_of(record: Record) -> tuple[str, int]:
    """What is stored of a watermark record. Raises Rejected("not_a_watermark") for one that is none."""
    try:
        found = _WATERMARK.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_a_watermark", f"the record's key is that of a watermark: {error}") from error
    return msgspec.json.encode(found.watermark).decode(), record.timestamp_ms


def rows(database: Database, tx: Connection) -> dict[int, tuple[str, int]]:
    """What is stored, by partition."""
    return {row[0]: (row[1], row[2]) for row in database.execute(tx, "SELECT partition, body, at_ms FROM watermark")}


def read(database: Database, tx: Connection) -> dict[int, Passed]:
    """The newest watermark of each partition that has one."""
    return {partition: Passed(_places(body), at_ms) for partition, (body, at_ms) in rows(database, tx).items()}


def _places(body: str) -> Places:
    return {(topic, int(partition)): offset for topic, of in _POSITIONS.decode(body).items() for partition, offset in of.items()}
