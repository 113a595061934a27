"""Models that give credit by looking at all paths, those that did not convert too. Pure; from counts that add up.

The removal effect of a channel: by how much fewer paths of a first-order Markov chain with these steps would convert if whoever comes to
the channel was lost (Anderl, Becker, von Wangenheim, Schumann, IJRM 33, 2016; Archak, Mirrokni, Muthukrishnan, WWW 2010).

Shapley, as simplified by Fractribution (Google, 2019): on each set of channels that converted, a channel's weight is by how much the share
of paths that convert is larger with exactly this set than with the set without it, at least 0 (the last marginal of the Shapley value).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from operator import mul
from typing import NamedTuple

from services.metrics.domain.attribution import allocated

Step = tuple[str | None, str | None]
"""From and to; None is the start, and the end."""
Set = tuple[str, ...]
_SCALE = 2**40


class Paths(NamedTuple):
    """How many paths converted, and how many were lost."""

    converting: int
    lost: int


def removal_effects(steps: Mapping[Step, Paths]) -> dict[str, float]:
    """The removal effect of every channel on a path, as a part of the probability of converting. Empty if nothing converts.

    With N = (I − Q)⁻¹ over the channels, a path comes to channel j with probability (s N)ⱼ / Nⱼⱼ, and converts from there with (N r)ⱼ.
    """
    counts = {step: paths.converting + paths.lost for step, paths in steps.items() if step != (None, None)}
    nodes = sorted({name for step in counts for name in step if name is not None})
    out: dict[str | None, int] = dict.fromkeys([None, *nodes], 0)
    for (source, _), count in counts.items():
        out[source] += count
    chance = {step: count / out[step[0]] for step, count in counts.items() if count > 0}
    ends = [(node, steps.get((node, None), Paths(0, 0)).converting) for node in nodes]
    converts = [count / out[node] if count > 0 else 0.0 for node, count in ends]
    visits = _inverse([[(i == j) - chance.get((i, j), 0.0) for j in nodes] for i in nodes])
    start = [chance.get((None, node), 0.0) for node in nodes]
    effects = {}
    for j, node in enumerate(nodes):
        comes = fsum(begins * row[j] for begins, row in zip(start, visits, strict=True)) / visits[j][j]
        effects[node] = comes * fsum(map(mul, visits[j], converts))
    every = fsum(begins * fsum(map(mul, row, converts)) for begins, row in zip(start, visits, strict=True))
    return {node: effect / every for node, effect in effects.items()} if every > 0 else {}


def markov(steps: Mapping[Step, Paths], totals: Sequence[int]) -> dict[str | None, list[int]]:
    """The totals of the paths that converted, in proportion to the removal effects."""
    effects = removal_effects(steps)
    weights = [round(_SCALE * effect) for effect in effects.values()]
    if not any(weights):
        return {None: list(totals)}
    shares = zip(*(allocated(total, weights) for total in totals), strict=True)
    return {channel: list(share) for channel, share in zip(effects, shares, strict=True)}


def shapley_weights(sets: Mapping[Set, Paths], of: Set) -> list[int]:
    """The weights of the channels of a set, in its order; even where the set does better than none of its parts.

    A weight is the difference of two shares of paths, times the paths of the whole set, in 2⁻⁶⁴.
    """
    if len(of) == 1:
        return [1]
    converting, lost = sets.get(of, Paths(0, 0))
    weights = []
    for i in range(len(of)):
        less = sets.get((*of[:i], *of[i + 1 :]), Paths(0, 0))
        all_less = less.converting + less.lost or 1
        weights.append((max(0, converting * all_less - less.converting * (converting + lost)) << 64) // all_less)
    return weights if any(weights) else [1] * len(of)


def shapley(sets: Mapping[Set, Paths], totals: Mapping[Set, Sequence[int]]) -> dict[str | None, list[int]]:
    """The totals of each set that converted, in proportion to the weights of its channels; those of the empty set to none."""
    credits: dict[str | None, list[int]] = {}
    for of, values in totals.items():
        weights = shapley_weights(sets, of) if of else [1]
        shares = zip(*(allocated(value, weights) for value in values), strict=True)
        for channel, share in zip(of or (None,), shares, strict=True):
            known = credits.get(channel)
            credits[channel] = list(share) if known is None else [one + other for one, other in zip(known, share, strict=True)]
    return credits


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """By Gauss and Jordan. Every channel leads to the end, so the matrix has an inverse, and its rows' diagonals are largest."""
    size = len(matrix)
    rows = [[*row, *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i, row in enumerate(rows):
        pivot = row[i]
        rows[i] = row = [value / pivot for value in row]
        for k, other in enumerate(rows):
            if k != i and (factor := other[i]):
                rows[k] = [value - factor * above for value, above in zip(other, row, strict=True)]
    return [row[size:] for row in rows]
