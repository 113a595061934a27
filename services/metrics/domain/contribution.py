"""The smallest thing that is counted."""

from __future__ import annotations

from typing import NamedTuple

from services.metrics.domain.cube import Dims


class Contribution(NamedTuple):
    """`value` is added to a measure of a cube at `at_us`, `times` times (−1 takes one back, also from a histogram).

    `cohort_day` is set in cubes with a cohort only.
    """

    cube: str
    measure: str
    at_us: int
    cohort_day: int | None
    dims: Dims
    value: int
    times: int = 1
