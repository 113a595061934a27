"""The newest record of each key of a compacted topic, gathered in a scratch file: memory does not grow with the number of keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from services.shared.bus import Bus, Record

PAGE = 2000
Bounds = Mapping[int, int]
"""Per partition an offset."""


class Newest(NamedTuple):
    """A record that is the last of its key before the bound of its partition; `later`: there are further ones from the bound on.

    `offset` is -1 if there are only those.
    """

    partition: int
    key: bytes
    offset: int
    value: bytes | None
    timestamp_ms: int
    later: bool


Version = Callable[[bytes | None], int | None]
"""The version that a record's value tells; None for one that tells none: it is newer than all before it."""


class NewestRecords:
    """Of one topic. Read with `gather`; closed by `close`, which deletes the scratch file. May be used from several threads in turn.

    Newest is the last one, or with `version` the last that had a higher one than those before it.
    """

    def __init__(self, bus: Bus, topic: str, version: Version = lambda value: None) -> None:
        self._bus, self._topic, self._version = bus, topic, version
        self._file = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._file.execute(
            "CREATE TABLE newest (partition INT, key BLOB, offset INT, value BLOB, at_ms INT, later INT, version INT, PRIMARY KEY (partition, key)) "
            "WITHOUT ROWID"
        )

    def gather(self, begins: Bounds, ends: Bounds, bounds: Bounds | None = None) -> Iterator[int]:
        """Read from `begins` to `ends`, telling how many records were read; those from `bounds` on only count as `later`."""
        done = 0
        for partition, end in sorted(ends.items()):
            bound, offset = end if bounds is None else bounds.get(partition, 0), begins[partition]
            while offset < end and (records := self._bus.read(self._topic, partition, offset, PAGE)):
                offset = records[-1].offset + 1
                self._put([record for record in records if record.offset < end], bound)
                done += len(records)
                yield done

    def of(self, keys: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], Newest]:
        """The newest records of these keys, each with its partition."""
        rows = (self._file.execute(f"{_SELECT} WHERE partition = ? AND key = ?", key).fetchone() for key in keys)
        return {(row[0], row[1]): _newest(row) for row in rows if row is not None}

    def pages(self) -> Iterator[list[Newest]]:
        """All of them."""
        last: tuple[int, bytes] = (-1, b"")
        while rows := self._file.execute(
            f"{_SELECT} WHERE (partition, key) > (?, ?) ORDER BY partition, key LIMIT {PAGE}", last
        ).fetchall():
            last = rows[-1][0], rows[-1][1]
            yield [_newest(row) for row in rows]

    def close(self) -> None:
        self._file.close()

    def _put(self, records: Sequence[Record], bound: int) -> None:
        before = [
            (r.partition, r.key, r.offset, r.value, r.timestamp_ms, self._version(r.value)) for r in records if r.offset < bound
        ]
        after = [(r.partition, r.key) for r in records if r.offset >= bound]
        self._file.execute("BEGIN")
        self._file.executemany(f"INSERT INTO newest VALUES (?, ?, ?, ?, ?, 0, ?) {_REPLACE}", before)
        self._file.executemany(
            "INSERT INTO newest VALUES (?, ?, -1, NULL, 0, 1, NULL) ON CONFLICT (partition, key) DO UPDATE SET later = 1", after
        )
        self._file.execute("COMMIT")


_SELECT = "SELECT partition, key, offset, value, at_ms, later FROM newest"
_REPLACE = (
    "ON CONFLICT (partition, key) DO UPDATE SET offset = excluded.offset, value = excluded.value, at_ms = excluded.at_ms, "
    "version = excluded.version WHERE excluded.version IS NULL OR newest.version IS NULL OR excluded.version > newest.version"
)


def _newest(row: tuple[int, bytes, int, bytes | None, int, int]) -> Newest:
    return Newest(row[0], row[1], row[2], row[3], row[4], bool(row[5]))
