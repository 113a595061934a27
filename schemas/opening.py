"""Opening hours as they are set: `mon-fri 09:00-17:00, sat 10:00-14:00`; nothing: always open."""

from __future__ import annotations

import re
from itertools import pairwise

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PART = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
Minutes = tuple[int, int]
"""From, until: minutes of the clock since midnight."""


def week_of(text: str) -> dict[int, tuple[Minutes, ...]] | None:
    """The hours of each day of the week, Monday 0; None: always open. Raises ValueError with a sentence."""
    if not text.strip():
        return None
    week: dict[int, list[Minutes]] = {}
    for part in text.split(","):
        found = _PART.fullmatch(part.strip().lower())
        if found is None or not {found[1], found[2] or found[1]} <= set(_DAYS):
            raise ValueError(f"{part.strip()!r} is not like `mon-fri 09:00-17:00`")
        hours = 60 * int(found[3]) + int(found[4]), 60 * int(found[5]) + int(found[6])
        if not hours[0] < hours[1] <= 24 * 60 or int(found[4]) > 59 or int(found[6]) > 59:
            raise ValueError(f"{part.strip()!r}: hours run from an earlier to a later time of one day, 24:00 at most")
        first, last = _DAYS.index(found[1]), _DAYS.index(found[2] or found[1])
        for day in range(first, first + (last - first) % 7 + 1):
            week.setdefault(day % 7, []).append(hours)
    for day, of_day in week.items():
        of_day.sort()
        if any(one[1] > other[0] for one, other in pairwise(of_day)):
            raise ValueError(f"the hours of {_DAYS[day]} overlap")
    return {day: tuple(of_day) for day, of_day in week.items()}
