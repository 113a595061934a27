"""Reads rollup rows and facts for questions, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from schemas.calendar import Calendar
from services.metrics.domain.cubes import Cube, Dims
from services.metrics.domain.measures import Contribution, contributions
from services.metrics.domain.rollups import dims_of
from services.metrics.store import moments
from services.metrics.store.facts import SEVERAL_DAYS, fact_of
from services.metrics.store.places import By, Place, histograms_sql, key_tables, sums_sql
from services.shared.db import Database, Keys

_FACT = "f.partition, f.person_id, f.month, f.key, f.body, m.identified"
_MONTH = "JOIN person_month m ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month"
_CUT = (
    f"SELECT {_FACT} FROM {{k}} CROSS JOIN fact f {_MONTH} WHERE f.kind = k.kind AND f.until_us > :after AND f.until_us < :before"
)
_CUT_EARLIER = (
    f" UNION ALL SELECT DISTINCT {_FACT} FROM {{e}} CROSS JOIN effect o JOIN fact f "
    f"ON f.partition = o.partition AND f.person_id = o.person_id AND f.month = o.month AND f.key = o.key {_MONTH} "
    "WHERE o.kind = e.kind AND o.at_us > :after AND o.at_us < :before AND f.until_us >= :before"
)


class Sum(NamedTuple):
    """Sums of a cube's measures, in its order, of the places with a tag, at one effective or cohort number (0 where none was asked for)."""

    tag: int
    number: int
    dims: Dims
    values: tuple[int, ...]


class Packed(NamedTuple):
    """A packed histogram of a place, with its sign."""

    tag: int
    number: int
    dims: Dims
    counts: bytes
    sign: int


class Reading:
    """Reads one generation inside the caller's snapshot."""

    def __init__(self, database: Database, tx: Connection, generation: int) -> None:
        self._database, self._tx, self._generation = database, tx, generation
        self._cut: dict[tuple[frozenset[str], int, int], list[Contribution]] = {}

    def sums(self, cube: Cube, names: tuple[str, ...], places: Sequence[Place], by: By | None = None) -> Iterator[Sum]:
        """Sums by tag, number and the values of a dimension set over all these places, in one statement; some may come in two parts."""
        keys = key_tables(places)
        found = self._read(sums_sql(len(cube.measures), by, tuple(keys)), cube.key_of(names), keys) if keys else ()
        return (Sum(row[0], row[1], dims_of(row[2]), tuple(map(int, row[3:]))) for row in found)

    def histograms(self, cube: Cube, names: tuple[str, ...], places: Sequence[Place], by: By = "cohort") -> Iterator[Packed]:
        """Packed histograms of all these places, one a row, in one statement."""
        keys = key_tables(places)
        found = self._read(histograms_sql(by, tuple(keys)), cube.key_of(names), keys) if keys else ()
        return (Packed(row[0], row[1], dims_of(row[2]), row[3], row[4]) for row in found)

    def effects_between(self, kinds: Iterable[str], after_us: int, before_us: int, calendar: Calendar) -> Sequence[Contribution]:
        """Contributions of facts of these kinds with after < at_us < before. Cost grows with the facts in between, once for all cubes."""
        asked = frozenset(kinds), after_us, before_us
        if asked not in self._cut:
            self._cut[asked] = list(self._effects_between(*asked, calendar))
        return self._cut[asked]

    def _effects_between(
        self, kinds: frozenset[str], after_us: int, before_us: int, calendar: Calendar
    ) -> Iterator[Contribution]:
        bounds: Mapping[str, object] = {"after": after_us, "before": before_us}
        sql, tables = _CUT, {"k": _kinds(kinds)}
        if several := kinds.intersection(SEVERAL_DAYS):
            sql, tables = sql + _CUT_EARLIER, {**tables, "e": _kinds(several)}
        for *_, body, identified in self._database.execute(self._tx, sql, bounds, **tables):
            for contribution in contributions(fact_of(body), bool(identified), calendar):
                if after_us < contribution.at_us < before_us:
                    yield contribution

    def facts(self, kinds: Iterable[str], start_us: int, end_us: int, since: moments.Place | None) -> Iterator[moments.Met]:
        """See `moments.facts_between`."""
        return moments.facts_between(self._database, self._tx, kinds, start_us, end_us, since)

    def _read(self, sql: str, cube_key: str, keys: Mapping[str, Keys]) -> Sequence[Row[*tuple[Any, ...]]]:
        return self._database.execute(self._tx, sql, {"generation": self._generation, "cube": cube_key}, **keys)


def _kinds(kinds: Iterable[str]) -> Keys:
    return Keys({"kind": "text"}, [(kind,) for kind in sorted(kinds)])
