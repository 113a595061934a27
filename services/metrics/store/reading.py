"""Reads rollup rows and facts for questions, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from schemas.calendar import Calendar
from services.metrics.domain.cubes import Cube, Dims
from services.metrics.domain.measures import Contribution, contributions
from services.metrics.domain.periods import Span
from services.metrics.domain.rollups import dims_of
from services.metrics.store import moments
from services.metrics.store.facts import fact_of
from services.metrics.store.tables import VALUES
from services.shared.db import Database, Keys

_CUT = (
    "SELECT f.body, m.identified FROM {k} CROSS JOIN fact f JOIN person_month m "
    "ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month "
    "WHERE f.kind = k.kind AND f.until_us > :after AND f.until_us < :before"
)
_PERIOD_HISTOGRAMS = (
    "SELECT effective, dims, counts FROM histogram WHERE generation = :generation AND cube = :cube AND grain = :grain "
    "AND effective >= :low AND effective < :high"
)
_CUT_EARLIER = (
    "SELECT DISTINCT f.partition, f.person_id, f.month, f.key, f.body, m.identified FROM {k} CROSS JOIN effect e JOIN fact f "
    "ON f.partition = e.partition AND f.person_id = e.person_id AND f.month = e.month AND f.key = e.key JOIN person_month m "
    "ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month "
    "WHERE e.kind = k.kind AND e.at_us > :after AND e.at_us < :before AND f.until_us >= :before"
)


class Sum(NamedTuple):
    """Sums of a cube's measures, in its order, at one effective number (0 where none was asked for)."""

    effective: int
    dims: Dims
    values: tuple[int, ...]


class Place(NamedTuple):
    """Rows of one grain of a cube with a cohort: effective numbers listed, or from `low` on; cohorts in [low, high)."""

    grain: str
    effective: Sequence[int] | int
    cohorts: Span
    sign: int = 1


class Reading:
    """Reads one generation inside the caller's snapshot."""

    def __init__(self, database: Database, tx: Connection, generation: int) -> None:
        self._database, self._tx, self._generation = database, tx, generation

    def by_period(self, cube: Cube, names: tuple[str, ...], grain: str, low: int, high: int) -> Iterator[Sum]:
        """Sums by effective number in [low, high) and the values of a dimension set, all partitions together."""
        found = self._run(_period_sql(len(cube.measures)), {"cube": cube.key_of(names), "grain": grain, "low": low, "high": high})
        return (Sum(row[0], dims_of(row[1]), tuple(map(int, row[2:]))) for row in found)

    def by_cohort(self, cube: Cube, names: tuple[str, ...], place: Place) -> Iterator[Sum]:
        """Sums by the values of a dimension set over one place, with its sign."""
        found = self._place(_cohort_sql(len(cube.measures), isinstance(place.effective, int)), cube.key_of(names), place)
        return (Sum(0, dims_of(row[0]), tuple(place.sign * int(value) for value in row[1:])) for row in found)

    def by_date(self, cube: Cube, names: tuple[str, ...], place: Place) -> Iterator[Sum]:
        """The same by the cohort's number too, which is the `effective` of what comes."""
        found = self._place(_cohort_sql(len(cube.measures), isinstance(place.effective, int), True), cube.key_of(names), place)
        return (Sum(row[1], dims_of(row[0]), tuple(place.sign * int(value) for value in row[2:])) for row in found)

    def histograms_by_period(
        self, cube: Cube, names: tuple[str, ...], grain: str, low: int, high: int
    ) -> Iterator[tuple[int, Dims, bytes]]:
        """Packed histograms by effective number in [low, high), one a row."""
        given = {"cube": cube.key_of(names), "grain": grain, "low": low, "high": high}
        return ((row[0], dims_of(row[1]), row[2]) for row in self._run(_PERIOD_HISTOGRAMS, given))

    def histograms_by_date(self, cube: Cube, names: tuple[str, ...], place: Place) -> Iterator[tuple[int, Dims, bytes]]:
        """Packed histograms over one place by the cohort's number, one a row."""
        found = self._place(_histogram_sql(isinstance(place.effective, int)), cube.key_of(names), place)
        return ((row[2], dims_of(row[0]), row[1]) for row in found)

    def histograms(self, cube: Cube, names: tuple[str, ...], place: Place) -> Iterator[tuple[Dims, bytes]]:
        """Packed histograms with the values of their dimension set over one place, one a row."""
        found = self._place(_histogram_sql(isinstance(place.effective, int)), cube.key_of(names), place)
        return ((dims_of(row[0]), row[1]) for row in found)

    def effects_between(self, kinds: Iterable[str], after_us: int, before_us: int, calendar: Calendar) -> Iterator[Contribution]:
        """Contributions of facts of these kinds with after < at_us < before. Cost grows with the facts in between."""
        bounds: Mapping[str, object] = {"after": after_us, "before": before_us}
        table = Keys({"kind": "text"}, [(kind,) for kind in kinds])
        facts = [(row[0], row[1]) for row in self._database.execute(self._tx, _CUT, bounds, k=table)]
        facts += [(row[4], row[5]) for row in self._database.execute(self._tx, _CUT_EARLIER, bounds, k=table)]
        for body, identified in facts:
            for contribution in contributions(fact_of(body), bool(identified), calendar):
                if after_us < contribution.at_us < before_us:
                    yield contribution

    def facts(self, kinds: Iterable[str], start_us: int, end_us: int, since: moments.Place | None) -> Iterator[moments.Met]:
        """See `moments.facts_between`."""
        return moments.facts_between(self._database, self._tx, kinds, start_us, end_us, since)

    def _place(self, sql: str, cube_key: str, place: Place) -> Sequence[Row[*tuple[Any, ...]]]:
        given: dict[str, object] = {"cube": cube_key, "grain": place.grain, "low": place.cohorts.start, "high": place.cohorts.end}
        if isinstance(place.effective, int):
            return self._run(sql, {**given, "from": place.effective})
        return self._run(sql, given, k=Keys({"effective": "integer"}, [(number,) for number in place.effective]))

    def _run(self, sql: str, given: Mapping[str, object], **keys: Keys) -> Sequence[Row[*tuple[Any, ...]]]:
        return self._database.execute(self._tx, sql, {"generation": self._generation, **given}, **keys)


@lru_cache(maxsize=64)
def _period_sql(measures: int) -> str:
    sums = ", ".join(f"SUM({name})" for name in VALUES[:measures])
    return (
        f"SELECT effective, dims, {sums} FROM rollup WHERE generation = :generation AND cube = :cube AND grain = :grain "
        "AND effective >= :low AND effective < :high GROUP BY effective, cohort, dims"
    )


@lru_cache(maxsize=64)
def _cohort_sql(measures: int, open_ended: bool, by_date: bool = False) -> str:
    sums = ", ".join(f"SUM(r.{name})" for name in VALUES[:measures])
    by = "r.dims, r.cohort" if by_date else "r.dims"
    return f"SELECT {by}, {sums} FROM {_rows('rollup', open_ended)} GROUP BY {by}"


@lru_cache(maxsize=2)
def _histogram_sql(open_ended: bool) -> str:
    return f"SELECT r.dims, r.counts, r.cohort FROM {_rows('histogram', open_ended)}"


def _rows(table: str, open_ended: bool) -> str:
    """Rows of one place: listed effective numbers are looked up one by one, so that only their cohorts are read."""
    place = "r.generation = :generation AND r.cube = :cube AND r.grain = :grain AND r.cohort >= :low AND r.cohort < :high"
    if open_ended:
        return f"{table} r WHERE {place} AND r.effective >= :from"
    return f"{{k}} CROSS JOIN {table} r WHERE {place} AND r.effective = k.effective"
