"""From contributions to rollup rows: sums by day, spread over the grains and dimension sets that are kept.

| grain | effective | cohort | of cubes |
| --- | --- | --- | --- |
| h, d, m | hour, day, month | 0 | without a cohort (h: hourly ones) |
| *m | 0 (whenever) | month | with a cohort of started journeys or of dates |
| *d | 0 (whenever) | day | with a cohort of dates |
| mm, md, dm, dd | month or day | month or day | with a cohort |

The first letter is the grain of the effective time, the second that of the cohort day. Histograms are not
kept by hour, nor by month and month.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import add as plus

import msgspec

from schemas.calendar import Calendar, month_of_day
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import BY_NAME, WIDTH, Cube, Dims
from services.metrics.domain.histogram import bucket_of

RowKey = tuple[str, str, int, int, str]
"""What a rollup row is about: cube (`Cube.key_of(set)`), grain, effective, cohort, and the values of the set as a JSON array.
A bare tuple, as are cells: there are millions."""

Cell = tuple[str, int, int, Dims]
"""The finest that is summed: cube, effective (an hour in hourly cubes, else a day), cohort day (0 without), dimensions."""

_WITHOUT_HISTOGRAMS = ("h", "mm")
Values = list[int]
Counts = dict[int, int]


class Sums:
    """Adds contributions up by cell. `add(…, -1)` takes them back."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self.cells: dict[Cell, Values] = {}
        self.counts: dict[Cell, Counts] = {}
        """Of the measure of which histograms are kept: {bucket: count} by cell."""

    def add(self, contributions: Iterable[Contribution], sign: int = 1) -> None:
        day_of, hour_of, cells = self._calendar.day_of, self._calendar.hour_of, self.cells
        for cube, measure, at_us, cohort_day, dims, value, times in contributions:
            hourly, column, spreads = _column(cube, measure)
            effective = hour_of(at_us) if hourly else day_of(at_us)
            cell = (cube, effective, cohort_day or 0, dims)
            values = cells.get(cell)
            if values is None:
                values = cells[cell] = [0] * WIDTH
            values[column] += sign * times * value
            if spreads:
                counts = self.counts.setdefault(cell, {})
                bucket = bucket_of(value)
                counts[bucket] = counts.get(bucket, 0) + sign * times

    def rows(self) -> dict[RowKey, Values]:
        """The rows to add: all that are not zero throughout."""
        rows: dict[RowKey, Values] = {}
        for cell, values in self.cells.items():
            if any(values):
                for key in _keys(cell, _projections(cell[0], cell[3])):
                    known = rows.get(key)
                    if known is None:
                        rows[key] = values.copy()
                    else:
                        known[:] = map(plus, known, values)
        return {key: values for key, values in rows.items() if any(values)}

    def histograms(self) -> dict[RowKey, Counts]:
        """The histograms to add: {bucket: count} that are not zero."""
        histograms: dict[RowKey, Counts] = {}
        for cell, counts in self.counts.items():
            for key in _keys(cell, _spread_projections(cell[0], cell[3])):
                if key[1] not in _WITHOUT_HISTOGRAMS:
                    add_counts(histograms.setdefault(key, {}), counts)
        return {key: counts for key, counts in histograms.items() if counts}


def add_counts(into: Counts, counts: Counts) -> None:
    """Add {bucket: count}; buckets that come to 0 disappear."""
    for bucket, count in counts.items():
        total = into.get(bucket, 0) + count
        if total:
            into[bucket] = total
        else:
            into.pop(bucket, None)


def dims_text(values: Iterable[str | None]) -> str:
    return msgspec.json.encode(list(values)).decode()


@lru_cache(maxsize=4096)
def dims_of(text: str) -> Dims:
    """The values that `dims_text` wrote."""
    return msgspec.json.decode(text, type=tuple[str | None, ...])


def _keys(cell: Cell, projections: tuple[tuple[str, str], ...]) -> Iterator[RowKey]:
    """Every row that a cell is part of."""
    places = _places(cell[0], cell[1], cell[2])
    for cube_key, dims in projections:
        for grain, effective, cohort in places:
            yield (cube_key, grain, effective, cohort, dims)


@lru_cache(maxsize=512)
def _column(cube_name: str, measure: str) -> tuple[bool, int, bool]:
    cube = BY_NAME[cube_name]
    return cube.hourly, cube.measures.index(measure), measure == cube.spread


@lru_cache(maxsize=8192)
def _projections(cube_name: str, dims: Dims) -> tuple[tuple[str, str], ...]:
    cube = BY_NAME[cube_name]
    return _projected(cube, cube.sets, dims)


@lru_cache(maxsize=8192)
def _spread_projections(cube_name: str, dims: Dims) -> tuple[tuple[str, str], ...]:
    cube = BY_NAME[cube_name]
    return _projected(cube, cube.spread_sets, dims)


def _projected(cube: Cube, sets: tuple[tuple[str, ...], ...], dims: Dims) -> tuple[tuple[str, str], ...]:
    value_of = dict(zip(cube.dims, dims, strict=True))
    return tuple((cube.key_of(names), dims_text(value_of[name] for name in names)) for names in sets)


@lru_cache(maxsize=65536)
def _places(cube_name: str, effective: int, cohort: int) -> tuple[tuple[str, int, int], ...]:
    cube = BY_NAME[cube_name]
    day = effective // 24 if cube.hourly else effective
    month = month_of_day(day)
    if cube.cohort is None:
        places = (("d", day, 0), ("m", month, 0))
        return (("h", effective, 0), *places) if cube.hourly else places
    cohort_month = month_of_day(cohort)
    whenever: tuple[tuple[str, int, int], ...] = ()
    if cube.cohort != "previous":
        whenever = (("*m", 0, cohort_month), ("*d", 0, cohort)) if cube.cohort == "dated" else (("*m", 0, cohort_month),)
    return (
        *whenever,
        ("mm", month, cohort_month),
        ("md", month, cohort),
        ("dm", day, cohort_month),
        ("dd", day, cohort),
    )
