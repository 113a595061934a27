"""Whose clock a touchpoint's time was read from, and by how much that clock is put right (docs/decisions/0012).

A *clock* is a device as one source knows it, or the source itself for what names no device. `received_at − sent_at` of one
touchpoint is what its clock was off by, plus the way, plus perhaps hours in which a retry waited. The least of three days comes
closest to what the clock was off by; so that it stays the same while the ways differ by milliseconds, it is taken in whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.times import DAY_US, MINUTE_US, SECOND_US, parse_time_us

DEVICES = ("device_id", "anonymous_id")
"""What names a device, the best first: a browser is one, too."""
FIRST_US = parse_time_us("0001-01-01T00:00:00Z")


def device_of(identities: Mapping[str, str]) -> str | None:
    """The device among a touchpoint's own identities, as `namespace:value`."""
    for namespace in DEVICES:
        if namespace in identities:
            return f"{namespace}:{identities[namespace]}"
    return None


def delay_us(received_us: int, sent_us: int) -> int:
    """What one touchpoint says of its clock: `received − sent` in whole seconds, cut towards the past; under a minute it says 0."""
    late_us = received_us - sent_us
    return 0 if 0 <= late_us < MINUTE_US else late_us // SECOND_US * SECOND_US


def day_of(received_us: int) -> int:
    """The UTC day of receipt, in days since 1970."""
    return received_us // DAY_US


def offset_us(leasts: Mapping[int, int], day: int) -> int:
    """What is added to the times of a clock on a day, by the least delay of each of its days."""
    return min((leasts[near] for near in around([day]) if near in leasts), default=0)


def around(days: Iterable[int]) -> set[int]:
    """These days and those beside them."""
    return {near for day in days for near in (day - 1, day, day + 1)}


def counted_us(original_us: int, received_us: int) -> int:
    """The time that counts: never after receipt, never before the first year."""
    return min(max(original_us, FIRST_US), received_us)
