"""The one place that reads the clock; rooms are given a `Clock`, tests give their own."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns now, in whole microseconds since 1970-01-01T00:00:00Z."""


def system_clock() -> int:
    return time.time_ns() // 1000
