"""Intervals of proportions and scores, at 95 % (z = 1.959964)."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum, sqrt

from services.metrics.domain.histogram import middle_of

Z = 1.959964


def wilson(hits: int, n: int) -> tuple[float, float] | None:
    """The score interval of a proportion (Wilson, JASA 22, 1927), between 0 and 1. None without samples, or where hits isn't 0 … n."""
    if n <= 0 or not 0 <= hits <= n:
        return None
    p = hits / n
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return (0.0 if hits == 0 else max(0.0, centre - half), 1.0 if hits == n else min(1.0, centre + half))


def difference(hits: int, n: int, other_hits: int, other_n: int) -> tuple[float, float] | None:
    """The interval of hits / n − other_hits / other_n by the hybrid of two score intervals (Newcombe, Statistics in Medicine 17, 1998,
    method 10). None without samples on either side."""
    one, other = wilson(hits, n), wilson(other_hits, other_n)
    if one is None or other is None:
        return None
    p, q = hits / n, other_hits / other_n
    low = p - q - sqrt((p - one[0]) ** 2 + (other[1] - q) ** 2)
    high = p - q + sqrt((one[1] - p) ** 2 + (q - other[0]) ** 2)
    return max(-1.0, low), min(1.0, high)


def net_score(plus: int, minus: int, n: int) -> tuple[float, float] | None:
    """The interval of (plus − minus) / n, from the variance p₊ + p₋ − (p₊ − p₋)²; between −1 and 1. None without samples."""
    if n <= 0 or plus < 0 or minus < 0 or plus + minus > n:
        return None
    net = (plus - minus) / n
    half = Z * sqrt(max(0.0, (plus + minus) / n - net * net) / n)
    return max(-1.0, net - half), min(1.0, net + half)


def mean(counts: Mapping[int, int], centre: float) -> tuple[float, float] | None:
    """The interval of the mean `centre` of the values of a histogram {bucket: count}, by the central limit theorem, with the sample
    variance of the buckets' middles. None with fewer than two values. In whatever order the buckets come: `fsum` rounds once."""
    n = sum(counts.values())
    if n < 2:
        return None
    squares = fsum(count * (middle_of(bucket) - centre) ** 2 for bucket, count in counts.items())
    half = Z * sqrt(squares / (n - 1) / n)
    return max(0.0, centre - half), centre + half


def mean_of_sums(total: int, squares: int, n: int) -> tuple[float, float] | None:
    """The interval of the mean of n whole numbers with this sum and this sum of squares. None with fewer than two."""
    if n < 2:
        return None
    centre = total / n
    half = Z * sqrt(max(0, n * squares - total * total) / (n * (n - 1)) / n)
    return centre - half, centre + half
