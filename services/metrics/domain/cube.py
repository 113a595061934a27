"""A cube: measures that share their dimensions and their times."""

from __future__ import annotations

from typing import Literal, NamedTuple

Dims = tuple[str | None, ...]
"""Values of a cube's dimensions, in the cube's order; None: not known, or none."""

WIDTH = 8
"""The most measures that a cube can have: columns of its rows."""


class Cube(NamedTuple):
    """`measures[i]` is column i of its rows. `kinds` are the facts that contribute to it. `cohort`: what the second day is.

    `spread` names a measure (milliseconds) of which histograms are kept, once per set of `spread_sets` (in cubes without a cohort: by
    day and month). `signed`: contributions may be below 0. `foreseen`: some take effect with the first instant of a later day.
    `reaches_back`: facts are dated by days before any of their own.
    """

    name: str
    dims: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    measures: tuple[str, ...]
    kinds: tuple[str, ...]
    cohort: Literal["started", "previous", "dated"] | None = None
    hourly: bool = False
    spread: str | None = None
    spread_sets: tuple[tuple[str, ...], ...] = ()
    signed: bool = False
    foreseen: bool = False
    reaches_back: bool = False

    def set_for(self, wanted: frozenset[str]) -> tuple[str, ...] | None:
        """The smallest dimension set that has all of `wanted`, the first among equals; None if there is none."""
        return _smallest(self.sets, wanted)

    def spread_set_for(self, wanted: frozenset[str]) -> tuple[str, ...] | None:
        """The smallest set with histograms that has all of `wanted`."""
        return _smallest(self.spread_sets, wanted)

    def key_of(self, names: tuple[str, ...]) -> str:
        """How rows of this cube by these dimensions are named in the store."""
        return f"{self.name}[{','.join(names)}]"


def _smallest(sets: tuple[tuple[str, ...], ...], wanted: frozenset[str]) -> tuple[str, ...] | None:
    return min((names for names in sets if wanted <= set(names)), key=len, default=None)
