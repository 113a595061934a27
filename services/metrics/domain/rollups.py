"""From contributions to rollup rows: sums by day, spread over the grains and dimension sets that are kept.

| grain | effective | cohort | of cubes |
| --- | --- | --- | --- |
| h, d, m | hour, day, month | 0 | without a cohort (h: hourly ones) |
| *m | 0 (whenever) | month | with a cohort |
| mm, md, dm, dd | month or day | month or day | with a cohort |

The first letter is the grain of the effective time, the second that of the cohort day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from services.metrics.domain.calendar import Calendar, month_of_day
from services.metrics.domain.cubes import BY_NAME, WIDTH, Cube, Dims
from services.metrics.domain.histogram import bucket_of
from services.metrics.domain.measures import Contribution

COHORT_GRAINS = ("*m", "mm", "md", "dm", "dd")


class RowKey(NamedTuple):
    """What a rollup row is about. `cube` is `Cube.key_of(set)`, `dims` the values of that set as a JSON array."""

    cube: str
    grain: str
    effective: int
    cohort: int
    dims: str


class Cell(NamedTuple):
    """The finest that is summed before spreading. `effective` is an hour in hourly cubes, else a day."""

    cube: str
    effective: int
    cohort: int
    dims: Dims


Values = list[int]
Counts = dict[int, int]


class Sums:
    """Adds contributions up by cell. `add(…, -1)` takes them back."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self.cells: dict[Cell, Values] = {}
        self.counts: dict[Cell, Counts] = {}
        """Of the measure of which a histogram is kept: {bucket: count} by cell."""

    def add(self, contributions: Iterable[Contribution], sign: int = 1) -> None:
        calendar = self._calendar
        for cube_name, measure, at_us, cohort_day, dims, value in contributions:
            cube = BY_NAME[cube_name]
            effective = calendar.hour_of(at_us) if cube.hourly else calendar.day_of(at_us)
            cell = Cell(cube_name, effective, 0 if cohort_day is None else cohort_day, dims)
            values = self.cells.get(cell)
            if values is None:
                values = self.cells[cell] = [0] * WIDTH
            values[_column(cube, measure)] += sign * value
            if measure == cube.spread:
                counts = self.counts.setdefault(cell, {})
                bucket = bucket_of(value)
                counts[bucket] = counts.get(bucket, 0) + sign

    def rows(self) -> dict[RowKey, Values]:
        """The rows to add: all that are not zero throughout."""
        rows: dict[RowKey, Values] = {}
        for cell, values in self.cells.items():
            for key in keys_of(cell):
                row = rows.get(key)
                if row is None:
                    rows[key] = values.copy()
                else:
                    rows[key] = [a + b for a, b in zip(row, values, strict=True)]
        return {key: values for key, values in rows.items() if any(values)}

    def histograms(self) -> dict[RowKey, Counts]:
        """The histograms to add: {bucket: count} that are not zero."""
        histograms: dict[RowKey, Counts] = {}
        for cell, counts in self.counts.items():
            for key in keys_of(cell):
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


def keys_of(cell: Cell) -> Iterator[RowKey]:
    """Every row that a cell is part of."""
    places = _places(cell.cube, cell.effective, cell.cohort)
    for cube_key, dims in _projections(cell.cube, cell.dims):
        for grain, effective, cohort in places:
            yield RowKey(cube_key, grain, effective, cohort, dims)


def dims_text(values: Iterable[str | None]) -> str:
    return msgspec.json.encode(list(values)).decode()


@lru_cache(maxsize=4096)
def dims_of(text: str) -> Dims:
    """The values that `dims_text` wrote."""
    return msgspec.json.decode(text, type=tuple[str | None, ...])


@lru_cache(maxsize=512)
def _column(cube: Cube, measure: str) -> int:
    return cube.measures.index(measure)


@lru_cache(maxsize=8192)
def _projections(cube_name: str, dims: Dims) -> tuple[tuple[str, str], ...]:
    cube = BY_NAME[cube_name]
    value_of = dict(zip(cube.dims, dims, strict=True))
    return tuple((cube.key_of(names), dims_text(value_of[name] for name in names)) for names in cube.sets)


@lru_cache(maxsize=65536)
def _places(cube_name: str, effective: int, cohort: int) -> tuple[tuple[str, int, int], ...]:
    cube = BY_NAME[cube_name]
    day = effective // 24 if cube.hourly else effective
    month = month_of_day(day)
    if cube.cohort is None:
        places = (("d", day, 0), ("m", month, 0))
        return (("h", effective, 0), *places) if cube.hourly else places
    cohort_month = month_of_day(cohort)
    whenever = (("*m", 0, cohort_month),) if cube.cohort == "started" else ()
    return (
        *whenever,
        ("mm", month, cohort_month),
        ("md", month, cohort),
        ("dm", day, cohort_month),
        ("dd", day, cohort),
    )
