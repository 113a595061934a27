"""Whose clock, and by how much it is put right: DESIGN.md section 4 and docs/decisions/0012, over a whole set of stored touchpoints."""

from __future__ import annotations

from collections.abc import Sequence

from tests.model import Touchpoint

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
DAY_US = 86_400 * SECOND_US
FIRST_US = -62_135_596_800 * SECOND_US
"""The first moment of year 1."""


def day(touchpoint: Touchpoint) -> int:
    """The UTC day of receipt."""
    return int(touchpoint["received_us"]) // DAY_US


def offset(touchpoint: Touchpoint, stored: Sequence[Touchpoint]) -> int:
    """What its clock is put right by: the least that touchpoints of the same clock, of that day and those beside it, say."""
    delays = [
        other["received_us"] - other["sent_us"]
        for other in stored
        if other["sent_us"] is not None
        and (other["source"], other["device"]) == (touchpoint["source"], touchpoint["device"])
        and abs(day(other) - day(touchpoint)) <= 1
    ]
    least: int = min(delays, default=0)
    return 0 if 0 <= least < MINUTE_US else least - least % SECOND_US


def put_right(stored: Sequence[Touchpoint]) -> list[Touchpoint]:
    """The same touchpoints at the times that count."""
    right = []
    for touchpoint in stored:
        original_us = touchpoint["original_us"]
        if touchpoint["dated"]:
            original_us += offset(touchpoint, stored)
        time_us = min(max(original_us, FIRST_US), touchpoint["received_us"])
        right.append(touchpoint | {"original_us": original_us, "time_us": time_us})
    return right
