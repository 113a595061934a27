"""Recomputes all rollups from the stored facts and compares, with memory that does not grow with their number.

Rollups are sums, so both sides are summed up again into a few thousand fingerprints: each row adds its values times random 64-bit
numbers of its key (Python's hash, salted anew in every process). Sides that agree everywhere are equal but for a chance of 2⁻⁶⁴;
where a fingerprint differs the rows behind it are compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from schemas.calendar import Calendar
from services.metrics.domain.cubes import WIDTH
from services.metrics.domain.measures import contributions
from services.metrics.domain.rollups import Counts, Sums
from services.metrics.store import generations, paging
from services.metrics.store.packing import unpack
from services.metrics.store.tables import VALUES
from services.shared.db import Database

FINGERPRINTS = 4096
INSPECTED = 16
"""Differing fingerprints whose rows are compared one by one; of any further ones at least one row each is wrong."""
EXAMPLES = 20


class Key(NamedTuple):
    """A rollup row (or a histogram, `table`) of one partition of the live generation."""

    table: str
    partition: int
    cube: str
    grain: str
    effective: int
    cohort: int
    dims: str


Entries = Counts
"""{measure's column, or bucket: value} of a row."""


class Side(NamedTuple):
    key: Key
    entries: Entries


@dataclass
class Checked:
    """`mismatches` rows of `checked` differ; exact up to a few hundred, else a lower bound."""

    checked: int = 0
    mismatches: int = 0
    examples: list[dict[str, object]] = field(default_factory=list)


def check(database: Database, tx: Connection, calendar: Calendar) -> Checked:
    """Compare the live rollups with the stored facts, in the caller's snapshot."""
    live = generations.live(database, tx)
    if live is None:
        return Checked()
    result = Checked()
    prints = [0] * FINGERPRINTS

    def add(sides: Iterator[Side], sign: int) -> int:
        count = 0
        for key, entries in sides:
            count += 1
            base = hash(key)
            prints[base % FINGERPRINTS] += sign * sum(value * hash((base, column)) for column, value in entries.items())
        return count

    result.checked = add(_stored(database, tx, live.number), 1)
    add(_recomputed(database, tx, calendar), -1)
    differing = [place for place, sum_of in enumerate(prints) if sum_of]
    if differing:
        _inspect(database, tx, calendar, live.number, differing, result)
    return result


def _inspect(
    database: Database, tx: Connection, calendar: Calendar, number: int, differing: Sequence[int], result: Checked
) -> None:
    inspected = frozenset(differing[:INSPECTED])
    stored = _gather(_stored(database, tx, number), lambda key: hash(key) % FINGERPRINTS in inspected)
    expected = _gather(_recomputed(database, tx, calendar), lambda key: hash(key) % FINGERPRINTS in inspected)
    wrong = sorted(key for key in stored.keys() | expected.keys() if stored.get(key) != expected.get(key))
    result.mismatches = len(wrong) + len(differing) - len(inspected)
    result.examples = [
        {**key._asdict(), "stored": stored.get(key, {}), "expected": expected.get(key, {})} for key in wrong[:EXAMPLES]
    ]


def _gather(sides: Iterator[Side], wanted: Callable[[Key], bool]) -> dict[Key, Entries]:
    gathered: dict[Key, Entries] = {}
    for key, entries in sides:
        if wanted(key):
            into = gathered.setdefault(key, {})
            for column, value in entries.items():
                into[column] = into.get(column, 0) + value
    nonzero = {key: {column: value for column, value in into.items() if value} for key, into in gathered.items()}
    return {key: entries for key, entries in nonzero.items() if entries}


def _stored(database: Database, tx: Connection, number: int) -> Iterator[Side]:
    for page in paging.rows(database, tx, "rollup", VALUES):
        for generation, cube, grain, effective, cohort, dims, partition, *values in page:
            if generation == number:
                yield Side(Key("rollup", partition, cube, grain, effective, cohort, dims), _entries(values))
    for page in paging.rows(database, tx, "histogram", ("counts",)):
        for generation, cube, grain, effective, cohort, dims, partition, counts in page:
            if generation == number:
                yield Side(Key("histogram", partition, cube, grain, effective, cohort, dims), unpack(counts))


def _recomputed(database: Database, tx: Connection, calendar: Calendar) -> Iterator[Side]:
    for page in paging.facts(database, tx):
        by_partition: dict[int, Sums] = {}
        for partition, identified, fact in page:
            by_partition.setdefault(partition, Sums(calendar)).add(contributions(fact, identified, calendar))
        for partition, sums in by_partition.items():
            for key, values in sums.rows().items():
                yield Side(Key("rollup", partition, *key), _entries(values))
            for key, counts in sums.histograms().items():
                yield Side(Key("histogram", partition, *key), counts)


def _entries(values: Sequence[int]) -> Entries:
    return {column: values[column] for column in range(WIDTH) if values[column]}
