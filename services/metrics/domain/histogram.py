"""Histograms of whole numbers whose quantiles are within 1 % of the exact ones, that add and subtract without loss.

Bucket 0 holds the zeros. Each further bucket holds the whole numbers from `low` to `high`, where `high` is at most `low * 101 / 99`:
its harmonic middle is within 1 % of each of them. Up to 49 a bucket is one number. The bounds are whole numbers, so a value
falls into the same bucket on every machine. (The idea is DDSketch's: Masson, Rim and Lee, VLDB 2019.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

LARGEST = 400_000_000_000_000
"""Milliseconds in more than ten thousand years; anything above falls into the last bucket."""


def _lower_bounds() -> list[int]:
    bounds, low = [0, 1], 1
    while low <= LARGEST:
        low = low * 101 // 99 + 1
        bounds.append(low)
    return bounds


_LOWS = _lower_bounds()
BUCKETS = len(_LOWS) - 1


def bucket_of(value: int) -> int:
    """The bucket of a value; what is below 0 counts as 0."""
    return min(bisect_right(_LOWS, max(value, 0)), BUCKETS) - 1


def middle_of(bucket: int) -> float:
    """The value that stands for a bucket: within 1 % of everything in it."""
    if bucket == 0:
        return 0.0
    low, high = _LOWS[bucket], _LOWS[bucket + 1] - 1
    return 2 * low * high / (low + high)


@dataclass(frozen=True)
class Spread:
    """What a histogram and the exact sum of its values say: n, mean, and the quantiles. None where there are no values."""

    n: int
    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None


def spread(counts: Mapping[int, int], total: int) -> Spread:
    """The spread of {bucket: count} whose values add up to `total`."""
    n = sum(counts.values())
    if n == 0:
        return Spread(0, None, None, None, None)
    p50, p90, p99 = (quantile(counts, n, percent) for percent in (50, 90, 99))
    return Spread(n, total / n, p50, p90, p99)


def quantile(counts: Mapping[int, int], n: int, percent: int) -> float:
    """The nearest-rank quantile of n ≥ 1 values: the least one that at least `percent` in a hundred of them don't exceed."""
    rank = -(-n * percent // 100)
    passed = 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        if passed >= rank:
            return middle_of(bucket)
    raise ValueError("the counts add up to less than n")
