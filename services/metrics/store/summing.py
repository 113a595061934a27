"""Adds sums to the rollup rows and histograms of one partition, in place."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from services.metrics.domain.cubes import SIGNED_KEYS
from services.metrics.domain.rollups import Counts, RowKey, Sums, add_counts
from services.metrics.store.packing import pack, unpack
from services.metrics.store.tables import HISTOGRAM, ROLLUP, ROW_KEY, VALUES
from services.shared.db import Database, Keys

_CONFLICT = f"ON CONFLICT ({', '.join(ROW_KEY)}) DO UPDATE SET "
_ADD = _CONFLICT + ", ".join(f"{name} = rollup.{name} + excluded.{name}" for name in VALUES)
_REPLACE = _CONFLICT + "counts = excluded.counts"
_KEY_TYPES = {
    "generation": "integer",
    "cube": "text",
    "grain": "text",
    "effective": "integer",
    "cohort": "integer",
    "dims": "text",
    "partition": "integer",
}
_SAME_KEY = " AND ".join(f"t.{name} = k.{name}" for name in ROW_KEY)
_STORED_COUNTS = (
    f"SELECT t.cube, t.grain, t.effective, t.cohort, t.dims, t.counts FROM {{k}} CROSS JOIN histogram t WHERE {_SAME_KEY}"
)
_EMPTY = " AND ".join(f"{name} = 0" for name in VALUES)

FullKey = tuple[int, str, str, int, int, str, int]


class Summing:
    """Writes rollups through one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, tx: Connection, generation: int, partition: int, sums: Sums) -> None:
        """Add the sums to one partition's rows. Rows that come to nothing are removed."""
        rows = list(sums.rows().items())
        self._database.insert(
            tx,
            ROLLUP,
            (*ROW_KEY, *VALUES),
            [(*_full(generation, key, partition), *values) for key, values in rows],
            _ADD,
        )
        perhaps_empty = [_full(generation, key, partition) for key, values in rows if min(values) < 0 or key[0] in SIGNED_KEYS]
        self._database.delete(tx, ROLLUP, Keys(_KEY_TYPES, perhaps_empty), _EMPTY)
        if histograms := sums.histograms():
            self._add_histograms(tx, generation, partition, histograms)

    def _add_histograms(self, tx: Connection, generation: int, partition: int, histograms: Mapping[RowKey, Counts]) -> None:
        keys = sorted(histograms)
        table = Keys(_KEY_TYPES, [_full(generation, key, partition) for key in keys])
        stored: dict[RowKey, Counts] = {
            (row[0], row[1], row[2], row[3], row[4]): unpack(row[5])
            for row in self._database.execute(tx, _STORED_COUNTS, k=table)
        }
        for key in keys:
            add_counts(stored.setdefault(key, {}), histograms[key])
        kept = [(*_full(generation, key, partition), pack(counts)) for key, counts in sorted(stored.items()) if counts]
        self._database.insert(tx, HISTOGRAM, (*ROW_KEY, "counts"), kept, _REPLACE)
        gone = [_full(generation, key, partition) for key, counts in stored.items() if not counts]
        self._database.delete(tx, HISTOGRAM, Keys(_KEY_TYPES, gone))


def _full(generation: int, key: RowKey, partition: int) -> FullKey:
    return (generation, *key, partition)
