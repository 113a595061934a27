"""From when to when a sighting decides over a handle that has had several owners. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple


class Interval(NamedTuple):
    """Times for which something counts, `until_us` not included; None: without an end on that side."""

    from_us: int | None
    until_us: int | None

    def holds(self, time_us: int) -> bool:
        return (self.from_us is None or self.from_us <= time_us) and (self.until_us is None or time_us < self.until_us)


def intervals(oldest_first: Sequence[int]) -> list[Interval | None]:
    """For each sighting that decides over a handle, given by their times, the interval in which it is in effect; None: never.

    In effect is the latest at or before a time, else the earliest after it (see `identity.in_effect`); of several at one time the last
    in the order.
    """
    found: list[Interval | None] = []
    for time_us, until_us in zip_longest(oldest_first, oldest_first[1:]):
        is_first = not found
        is_overtaken = until_us is not None and until_us <= time_us
        found.append(Interval(None if is_first else time_us, until_us) if is_first or not is_overtaken else None)
    return found
