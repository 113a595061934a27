"""Credit by models of all paths, from the list of paths itself.

A path is (channels in order, whether it converted, what was ordered for).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple


class Path(NamedTuple):
    channels: tuple[str, ...]
    converted: bool
    micros: int = 0


def converting(paths: Iterable[Path], removed: str | None = None) -> float:
    """The probability that a first-order Markov chain of these paths converts, if whoever comes to `removed` is lost; by following
    it step by step until nobody is left on the way."""
    steps: dict[str, Counter[str]] = defaultdict(Counter)
    for path in paths:
        way = ["(start)", *path.channels, "(converted)" if path.converted else "(lost)"]
        for source, target in pairwise(way):
            steps[source][target] += 1
    on_the_way, found = {"(start)": 1.0}, 0.0
    while sum(on_the_way.values()) > 1e-12:
        arrived: dict[str, float] = defaultdict(float)
        for source, chance in on_the_way.items():
            for target, count in steps[source].items():
                arrived[target] += chance * count / steps[source].total()
        found += arrived.pop("(converted)", 0.0)
        arrived.pop("(lost)", None)
        on_the_way = {name: chance for name, chance in arrived.items() if name != removed}
    return found


def removal_effects(paths: Sequence[Path]) -> dict[str, float]:
    """By how much less likely a path converts without a channel, as a part of how likely it is."""
    touched = [path for path in paths if path.channels]
    every = converting(touched)
    return {name: 1 - converting(touched, name) / every for name in sorted({name for path in touched for name in path.channels})}


def shapley_shares(paths: Sequence[Path], channels: frozenset[str]) -> dict[str, Fraction]:
    """The shares of a set of channels: its last marginals."""

    def rate(of: frozenset[str]) -> Fraction:
        same = [path.converted for path in paths if frozenset(path.channels) == of]
        return Fraction(sum(same), len(same)) if same else Fraction(0)

    marginals = {name: max(rate(channels) - rate(channels - {name}), Fraction(0)) for name in channels}
    whole = sum(marginals.values())
    if len(channels) == 1 or not whole:
        return dict.fromkeys(channels, Fraction(1, len(channels)))
    return {name: marginal / whole for name, marginal in marginals.items()}


def credited(paths: Sequence[Path], model: str) -> dict[str | None, tuple[float, float]]:
    """Orders and micro-units by channel; None: of orders without any touch."""
    found: dict[str | None, list[float]] = defaultdict(lambda: [0.0, 0.0])
    effects = removal_effects(paths) if model == "markov" and any(path.converted and path.channels for path in paths) else {}
    for path in paths:
        if not path.converted:
            continue
        if not path.channels:
            shares: dict[str | None, float] = {None: 1.0}
        elif model == "markov":
            shares = {name: effect / sum(effects.values()) for name, effect in effects.items()}
        else:
            shares = {name: float(share) for name, share in shapley_shares(paths, frozenset(path.channels)).items()}
        for name, share in shares.items():
            found[name][0] += share
            found[name][1] += share * path.micros
    return {name: (orders, micros) for name, (orders, micros) in found.items()}
