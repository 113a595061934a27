"""Lets a read wait until what a receipt stands for has taken effect (`X-Waypost-After`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

RECHECK_S = 0.05
"""How often to look where another process does the consuming; in this one a commit wakes the waiters at once."""


class Waiting:
    """Waiters of this process. `notify` is called after each commit, on any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._commits = 0

    def notify(self) -> None:
        with self._changed:
            self._commits += 1
            self._changed.notify_all()

    def until(self, passed: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `passed()` became true in time. Blocks the calling thread."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            seen = self._commits
            if passed():
                return True
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            self.next_commit(seen, min(left_s, RECHECK_S))

    @property
    def commits(self) -> int:
        """How many commits there have been."""
        return self._commits

    def next_commit(self, seen: int, timeout_s: float) -> None:
        """Wait until there have been more than `seen` commits, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._commits != seen, timeout_s)
