"""Which scores of a satisfaction survey are good and which bad; both journey and metrics go by it."""

from __future__ import annotations

from fractions import Fraction

USUAL: dict[str, tuple[float, float]] = {"csat": (1, 5), "nps": (0, 10), "ces": (1, 7)}
"""The usual scale of a kind, for senders that give none."""


def on_scale(
    kind: str, score: float | None, scale_min: float | None, scale_max: float | None
) -> tuple[Fraction, Fraction, Fraction] | None:
    """A score with the ends of its scale, exactly; None if it doesn't lie on one."""
    usual = USUAL.get(kind)
    low = scale_min if scale_min is not None else usual and usual[0]
    high = scale_max if scale_max is not None else usual and usual[1]
    if score is None or low is None or high is None or not low <= score <= high or low >= high:
        return None
    return Fraction(score), Fraction(low), Fraction(high)


def is_satisfied(score: Fraction, low: Fraction, high: Fraction) -> bool:
    """In the highest quarter of the scale: 4 and 5 of 1 to 5."""
    return 4 * (score - low) >= 3 * (high - low)


def is_unsatisfied(score: Fraction, low: Fraction, high: Fraction) -> bool:
    """In the lowest quarter: 1 and 2 of 1 to 5."""
    return 4 * (score - low) <= high - low
