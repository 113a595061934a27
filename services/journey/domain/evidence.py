"""From when to when a sighting decides over a handle that has had several owners. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """Times for which something counts, `until_us` not included; None: without an end on that side."""

    from_us: int | None
    until_us: int | None

    def holds(self, time_us: int) -> bool:
        return (self.from_us is None or self.from_us <= time_us) and (self.until_us is None or time_us < self.until_us)


def intervals(newest_first: Sequence[int], later_us: int | None, has_earlier: bool) -> list[Interval | None]:
    """For each of these sightings, given by their times, the interval in which it is in effect; None where there is none.

    In effect is the latest at or before a time, else the earliest after it (see `identity.in_effect`); of several at one time the last
    in the order. `later_us` is the time of the next newer sighting, `has_earlier` whether there are older ones.
    """
    found: list[Interval | None] = []
    until_us = later_us
    for index, time_us in enumerate(newest_first):
        is_first = index == len(newest_first) - 1 and not has_earlier
        from_us = None if is_first else time_us
        is_overtaken = until_us is not None and until_us <= time_us
        found.append(Interval(from_us, until_us) if is_first or not is_overtaken else None)
        until_us = time_us
    return found
