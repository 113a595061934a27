"""Where rollup rows lie: places that are read together, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from services.metrics.domain.periods import Segment, Span
from services.metrics.store.tables import VALUES
from services.shared.db import Keys

By = Literal["effective", "cohort"]
"""The number by which rows are told apart, beside their dimensions."""

FOREVER = (1 << 31) - 1
"""Greater than every effective number."""
_NO_COHORT = Span(0, 1)
_LISTED = {"tag": "integer", "sign": "integer", "grain": "text", "effective": "integer", "low": "integer", "high": "integer"}
_SPANNED = {**_LISTED, "until": "integer"}


class Place(NamedTuple):
    """Rows of one grain: effective numbers listed, or all of a span; cohorts in [low, high). `tag`: what the rows are added up for."""

    grain: str
    effective: Sequence[int] | Span
    cohorts: Span
    sign: int = 1
    tag: int = 0

    @classmethod
    def of(cls, segment: Segment, tag: int = 0) -> Place:
        """A segment of a cube without a cohort."""
        return cls(segment.grain, Span(segment.low, segment.high), _NO_COHORT, tag=tag)


def key_tables(places: Sequence[Place]) -> dict[str, Keys]:
    """The key tables of these places: `k` of listed numbers, each looked up by itself so that only its cohorts are read, `s` of spans.

    There is none that would be empty.
    """
    listed, spanned = list[Sequence[object]](), list[Sequence[object]]()
    for grain, effective, (low, high), sign, tag in places:
        if isinstance(effective, Span):
            spanned.append((tag, sign, grain, effective.start, low, high, effective.end))
        else:
            listed += [(tag, sign, grain, number, low, high) for number in effective]
    tables = {"k": Keys(_LISTED, listed), "s": Keys(_SPANNED, spanned)}
    return {name: table for name, table in tables.items() if table.rows}


@lru_cache(maxsize=128)
def sums_sql(measures: int, by: By | None, tables: tuple[str, ...]) -> str:
    """(tag, number, dims, sums …) of the rows of places, with their signs."""
    sums = ", ".join(f"SUM({{0}}.sign * r.{name})" for name in VALUES[:measures])
    number, group = (f"r.{by}", f", r.{by}") if by else ("0", "")
    each = f"SELECT {{0}}.tag, {number}, r.dims, {sums} FROM {{1}} GROUP BY {{0}}.tag{group}, r.dims"
    return _union(each, "rollup", tables)


@lru_cache(maxsize=16)
def histograms_sql(by: By, tables: tuple[str, ...]) -> str:
    """(tag, number, dims, packed counts, sign) of the histograms of places, one a row."""
    return _union(f"SELECT {{0}}.tag, r.{by}, r.dims, r.counts, {{0}}.sign FROM {{1}}", "histogram", tables)


def _union(each: str, table: str, tables: tuple[str, ...]) -> str:
    return " UNION ALL ".join(each.format(name, _rows(table, name)) for name in tables)


def _rows(table: str, name: str) -> str:
    effective = "r.effective = k.effective" if name == "k" else "r.effective >= s.effective AND r.effective < s.until"
    return (
        f"{{{name}}} CROSS JOIN {table} r WHERE r.generation = :generation AND r.cube = :cube AND r.grain = {name}.grain "
        f"AND {effective} AND r.cohort >= {name}.low AND r.cohort < {name}.high"
    )
