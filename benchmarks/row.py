"""One row of the table: what was measured, against which goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median


@dataclass(frozen=True)
class Row:
    """`measured` and `goal` are in `unit` (`×` for ratios); the goal is the most that `measured` may be.

    `beside` are the absolute figures of the same run, by a name with their unit. They hold for the machine and the
    moment only.
    """

    what: str
    measured: float
    unit: str
    goal: float
    beside: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def is_reached(self) -> bool:
        return self.measured <= self.goal

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "reached": self.is_reached}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of pairs that were measured one right after the other."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def spread(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float | str]:
    """Between which ratios the middle half of the pairs lies: a goal between them is neither reached nor missed for certain."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {"pairs": f"{quantile(ratios, 0.25):.3g} to {quantile(ratios, 0.75):.3g} ×"}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]
