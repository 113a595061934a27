"""How long after something it matters whether something else follows; both journey and metrics go by it."""

from __future__ import annotations

from schemas.facts import Bad, Helped, Reached, Sequel, Slow
from schemas.times import DAY_US, MINUTE_US

WEEK_US = 7 * DAY_US
SLOW_US = 5 * MINUTE_US
"""Whoever waits longer has waited long."""
RECOMMENDED_US = 30 * DAY_US
"""Until then, what was recommended is clicked and ordered because of that."""
_WITHIN_US: dict[type[object], int] = {Helped: DAY_US, Bad: 90 * DAY_US, Slow: WEEK_US, Reached: WEEK_US}


def decided_us(sequel: Sequel) -> int:
    """When it is known whether it was followed: what comes at that moment still counts."""
    return sequel.at_us + _WITHIN_US[type(sequel)]
