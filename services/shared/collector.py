"""How often Python looks for reference cycles."""

from __future__ import annotations

import gc

THRESHOLDS = (200_000, 20, 20)


def calm() -> None:
    """Look rarely, and never at what is there now.

    A batch makes hundreds of thousands of small objects, which reference counting frees by itself; looking through them for cycles
    took an eighth of journey's time. Call it once a process is composed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
