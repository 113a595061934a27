"""Housekeeping of the embedded bus: retention by age, and compaction. Each step is one short transaction."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial

from services.shared.bus import TOMBSTONE_S
from services.shared.bus.embedded.storage import offset_of, place_of, transaction

STEP_RECORDS = 2000
"""Records looked at in one transaction: publishers wait for it."""


def overwrite_deleted(connection: sqlite3.Connection) -> None:
    """What this connection deletes is overwritten with zeros: erased people must not live on in the file's unused places."""
    connection.execute("PRAGMA secure_delete = ON")


def expire(connection: sqlite3.Connection, now_ms: int, closing: threading.Event) -> None:
    """Delete what is older than its topic's retention, from the old end only, and move the begin offset there."""
    query = "SELECT lane, retention_s FROM topics JOIN lanes ON topic = name WHERE retention_s IS NOT NULL"
    with transaction(connection, "look for old records", write=False):
        lanes = connection.execute(query).fetchall()
    for lane, retention_s in lanes:
        _repeat(partial(_expire_step, connection, lane, now_ms - retention_s * 1000), closing)


def _expire_step(connection: sqlite3.Connection, lane: int, before_ms: int) -> bool:
    """Delete up to STEP_RECORDS of one lane; True if there may be more."""
    query = "SELECT place, timestamp_ms FROM records WHERE place >= ? AND place < ? ORDER BY place LIMIT ?"
    bounds = (place_of(lane, 0), place_of(lane + 1, 0))
    with transaction(connection, "delete old records", write=False):
        first = connection.execute(query, (*bounds, 1)).fetchone()
        if first is None or first[1] >= before_ms:
            return False
    with transaction(connection, "delete old records"):
        rows = connection.execute(query, (*bounds, STEP_RECORDS)).fetchall()
        old = next((index for index, (_, timestamp_ms) in enumerate(rows) if timestamp_ms >= before_ms), len(rows))
        if old:
            last = rows[old - 1][0]
            connection.execute("DELETE FROM records WHERE place >= ? AND place <= ?", (bounds[0], last))
            connection.execute(
                "UPDATE lanes SET begin_offset = ?1, compacted_to = max(compacted_to, ?1) WHERE lane = ?2",
                (offset_of(last) + 1, lane),
            )
        return old == STEP_RECORDS


def compact(connection: sqlite3.Connection, now_ms: int, closing: threading.Event) -> None:
    """In compacted topics, delete every record that a later one of the same key replaces, then tombstones of long ago."""
    query = "SELECT lane FROM topics JOIN lanes ON topic = name WHERE compacted = 1 AND compacted_to < end_offset"
    with transaction(connection, "look for replaced records", write=False):
        lanes = [lane for (lane,) in connection.execute(query)]
    for lane in lanes:
        _repeat(partial(_compact_step, connection, lane), closing)
    _repeat(partial(_bury_step, connection, now_ms - TOMBSTONE_S * 1000), closing)


def _compact_step(connection: sqlite3.Connection, lane: int) -> bool:
    """Go over the next records that compaction has not seen, deleting what each replaces; True if there may be more."""
    with transaction(connection, "compact"):
        (start,) = connection.execute("SELECT compacted_to FROM lanes WHERE lane = ?", (lane,)).fetchone() or (0,)
        query = "SELECT key, place FROM records WHERE place >= ? AND place < ? ORDER BY place LIMIT ?"
        rows = connection.execute(query, (place_of(lane, start), place_of(lane + 1, 0), STEP_RECORDS)).fetchall()
        latest = dict(rows)
        connection.executemany(
            "DELETE FROM records WHERE compacted = 1 AND key = ? AND place < ? AND place >= ?",
            [(key, place, place_of(lane, 0)) for key, place in latest.items()],
        )
        if rows:
            connection.execute("UPDATE lanes SET compacted_to = ? WHERE lane = ?", (offset_of(rows[-1][1]) + 1, lane))
        return len(rows) == STEP_RECORDS


def _bury_step(connection: sqlite3.Connection, before_ms: int) -> bool:
    """Delete tombstones of compacted topics that were published before, and that compaction has seen; True if there may be more."""
    query = """
        SELECT place FROM records JOIN lanes ON lane = place >> 40
        WHERE value IS NULL AND timestamp_ms < ? AND compacted = 1 AND place & ((1 << 40) - 1) < compacted_to LIMIT ?
    """
    with transaction(connection, "delete tombstones", write=False):
        places = connection.execute(query, (before_ms, STEP_RECORDS)).fetchall()
    if places:
        with transaction(connection, "delete tombstones"):
            connection.executemany("DELETE FROM records WHERE place = ?", places)
    return len(places) == STEP_RECORDS


def _repeat(step: Callable[[], bool], closing: threading.Event) -> None:
    """Repeat a step while there is more to do, leaving publishers as much time as it takes; stop early when closing."""
    began = time.monotonic()
    while step() and not closing.wait(time.monotonic() - began):
        began = time.monotonic()
