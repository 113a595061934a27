"""Shares compared with the share of a baseline: the lift of variants over the control, of the referred over the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, fsum, gamma, log, sqrt
from typing import Any, NamedTuple

from services.metrics.domain.statistics import Z

Row = dict[str, Any]
MISMATCH = 0.001
"""Groups that come out as unequal as this by chance less often than this were not split evenly (Fabijan et al., KDD 2019)."""


@dataclass(frozen=True)
class Against:
    """Rows that differ in the dimension `dim` only are compared with the one that has the value `baseline` there – or, where none has it,
    the first. `even`: as many cases are meant to be in each."""

    dim: str
    baseline: str
    even: bool = False


class Lift(NamedTuple):
    """By how much a share is larger than another, as a part of that (0.1: ten percent more); None where that can't be said."""

    lift: float | None
    low: float | None
    high: float | None
    p_value: float | None


def lift(hits: int, n: int, base_hits: int, base_n: int) -> Lift:
    """The interval is of the logarithm of the ratio (Katz et al., Biometrics 34, 1978), the p-value of the two-sided z-test of equal
    proportions with the pooled share."""
    if not n or not base_n or not base_hits:
        return Lift(None, None, None, p_value(hits, n, base_hits, base_n))
    ratio = (hits / n) / (base_hits / base_n)
    if not hits:
        return Lift(-1.0, None, None, p_value(hits, n, base_hits, base_n))
    half = Z * sqrt(1 / hits - 1 / n + 1 / base_hits - 1 / base_n)
    return Lift(ratio - 1, exp(log(ratio) - half) - 1, exp(log(ratio) + half) - 1, p_value(hits, n, base_hits, base_n))


def p_value(hits: int, n: int, base_hits: int, base_n: int) -> float | None:
    """How probable a difference of two shares at least as large is where there is none; None where nothing could differ."""
    if not n or not base_n or not 0 < hits + base_hits < n + base_n:
        return None
    pooled = (hits + base_hits) / (n + base_n)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / base_n))
    return erfc(abs(hits / n - base_hits / base_n) / error / sqrt(2))


def evenness(counts: Sequence[int]) -> float | None:
    """How probable counts at least as unequal are where each case falls into every group alike: Pearson's chi-squared test. None for
    fewer than two groups, or without cases."""
    total, groups = sum(counts), len(counts)
    if groups < 2 or not total:
        return None
    return chi_squared_tail(sum((count - total / groups) ** 2 for count in counts) * groups / total, groups - 1)


def chi_squared_tail(value: float, freedom: int) -> float:
    """The probability that chi squared with `freedom` degrees exceeds a value, by the finite sums for even and odd degrees."""
    half = value / 2
    if freedom % 2 == 0:
        return exp(-half) * fsum(half**i / gamma(i + 1) for i in range(freedom // 2))
    return erfc(sqrt(half)) + exp(-half) * fsum(half ** (i - 0.5) / gamma(i + 0.5) for i in range(1, (freedom + 1) // 2))


def lifted(against: Against, rows: Sequence[Row], by: Sequence[str]) -> list[Row]:
    """The rows with `lift`, `lift_low`, `lift_high` and `p_value` (none in the baseline's own), and where the groups are meant to be even
    `sample_ratio_p_value` and `warning`."""
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in ("period", *by) if name != against.dim)].append(row)
    told = {id(row): _told(against, row, group) for group in groups.values() for row in group}
    return [row | told[id(row)] for row in rows]


def _told(against: Against, row: Row, group: Sequence[Row]) -> Row:
    base = next((one for one in group if one[against.dim] == against.baseline), group[0])
    nothing = Lift(None, None, None, None)
    found = nothing if row is base else lift(*(one[part] for one in (row, base) for part in ("numerator", "denominator")))
    fields: Row = {
        "lift": found.lift,
        "lift_low": found.low,
        "lift_high": found.high,
        "p_value": found.p_value,
    }
    if against.even:
        chance = evenness([one["denominator"] for one in group])
        is_uneven = chance is not None and chance < MISMATCH
        fields |= {"sample_ratio_p_value": chance, "warning": "sample_ratio_mismatch" if is_uneven else None}
    return fields
