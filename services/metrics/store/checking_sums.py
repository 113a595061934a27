"""Compares the rollups of a generation with what they should be, with memory that does not grow with their number.

Rollups are sums, so both sides are summed up again into a few thousand fingerprints: each row adds its values times random 64-bit
numbers, one of the column and one of the row's key (Python's hash, salted anew in every process). Sides that agree everywhere are
equal but for a chance of 2⁻⁶⁴; where a fingerprint differs the rows behind it are compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import mul
from typing import NamedTuple

from sqlalchemy import Connection

from services.metrics.domain.cubes import BY_NAME, WIDTH
from services.metrics.domain.histogram import BUCKETS
from services.metrics.domain.rollups import Counts, Sums
from services.metrics.store import paging
from services.metrics.store.packing import unpack
from services.metrics.store.tables import VALUES
from services.shared.checked import Checked
from services.shared.db import Database

FINGERPRINTS = 4096
INSPECTED = 64
"""Differing fingerprints whose rows are compared one by one; of any further ones at least one row each is wrong."""
_OF_COLUMN = [hash(("column", n)) for n in range(WIDTH)]
_OF_BUCKET = [hash(("bucket", n)) for n in range(BUCKETS)]

Recomputed = Callable[[Checked], Iterator[Mapping[int, Sums]]]
"""What the sums should be, in parts, by partition; what of the evidence can't be read is noted."""


class Key(NamedTuple):
    """A rollup row (or a histogram, `table`) of a generation."""

    table: str
    cube: str
    grain: str
    effective: int
    cohort: int
    dims: str
    partition: int


Values = Mapping[int, int]
"""{measure's column, or bucket: value} of a row."""


def compare_sums(
    database: Database, tx: Connection, generation: int, recomputed: Recomputed, result: Checked
) -> Iterator[Checked]:
    """Compare in the caller's snapshot, telling how far it is from time to time."""
    prints = [0] * FINGERPRINTS
    for page in paging.rows(database, tx, "rollup", VALUES, generation):
        result.checked += len(page)
        for row in page:
            _add(prints, hash(row[:6]), sum(map(mul, row[6:], _OF_COLUMN)))
        yield result
    for page in paging.rows(database, tx, "histogram", ("counts",), generation):
        result.checked += len(page)
        for row in page:
            with result.reading("", f"histogram of {row[:6]}"):
                _add(prints, ~hash(row[:6]), _weight(unpack(row[6])))
        yield result
    for by_partition in recomputed(result):
        for partition, sums in by_partition.items():
            for key, values in sums.rows().items():
                _add(prints, hash((*key, partition)), -sum(map(mul, values, _OF_COLUMN)))
            for key, counts in sums.histograms().items():
                _add(prints, ~hash((*key, partition)), -_weight(counts))
        yield result
    if differing := [place for place, sum_of in enumerate(prints) if sum_of]:
        _inspect(_stored(database, tx, generation), _expected(recomputed), differing, result)
        yield result


def _add(prints: list[int], key: int, weight: int) -> None:
    prints[key % FINGERPRINTS] += key * weight


def _weight(counts: Counts) -> int:
    return sum(_OF_BUCKET[bucket] * count for bucket, count in counts.items())


def _inspect(
    stored: Iterator[tuple[Key, Values]], expected: Iterator[tuple[Key, Values]], differing: Sequence[int], result: Checked
) -> None:
    """Compare the rows behind fingerprints, one by one."""
    inspected = frozenset(differing[:INSPECTED])

    def wanted(key: Key) -> bool:
        place = hash(key[1:]) if key.table == "rollup" else ~hash(key[1:])
        return place % FINGERPRINTS in inspected

    left, right = _gather(stored, wanted), _gather(expected, wanted)
    for key in sorted(left.keys() | right.keys()):
        found, wanted_of = left.get(key, {}), right.get(key, {})
        for name in sorted(found.keys() | wanted_of.keys()):
            result.compare("", _name(key, name), found.get(name, 0), wanted_of.get(name, 0), **key._asdict())
    for place in differing[INSPECTED:]:
        result.compare("", "rollups", f"a wrong row among those of fingerprint {place}", "none")


def _name(key: Key, name: int) -> str:
    cube = BY_NAME.get(key.cube.partition("[")[0])
    is_measure = key.table == "rollup" and cube is not None and name < len(cube.measures)
    what = cube.measures[name] if is_measure and cube else f"{key.table} {name}"
    return f"{what} of {key.cube} {key.grain}/{key.effective}/{key.cohort} {key.dims}"


def _gather(sides: Iterator[tuple[Key, Values]], wanted: Callable[[Key], bool]) -> dict[Key, dict[int, int]]:
    gathered: dict[Key, dict[int, int]] = {}
    for key, values in sides:
        if wanted(key):
            into = gathered.setdefault(key, {})
            for column, value in values.items():
                into[column] = into.get(column, 0) + value
    return gathered


def _stored(database: Database, tx: Connection, generation: int) -> Iterator[tuple[Key, Values]]:
    for page in paging.rows(database, tx, "rollup", VALUES, generation):
        for row in page:
            yield Key("rollup", *row[:6]), dict(enumerate(row[6:]))
    unreadable = Checked()
    for page in paging.rows(database, tx, "histogram", ("counts",), generation):
        for row in page:
            with unreadable.reading("", "histogram"):
                yield Key("histogram", *row[:6]), unpack(row[6])


def _expected(recomputed: Recomputed) -> Iterator[tuple[Key, Values]]:
    for by_partition in recomputed(Checked()):
        for partition, sums in by_partition.items():
            for key, values in sums.rows().items():
                yield Key("rollup", *key, partition), dict(enumerate(values))
            for key, counts in sums.histograms().items():
                yield Key("histogram", *key, partition), counts
