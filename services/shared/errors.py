"""The errors that cross a seam.

    WaypostError
    ├── Rejected         the data is wrong: never retried, kept in touchpoints.rejected
    ├── Unavailable      the world is wrong (bus, database, disk): retried with backoff, answered with 503
    │   └── Contended    somebody was in the way (a deadlock, a lock that was missing): roll back and try again at once
    ├── PositionMoved    another writer moved this position first: roll back, read the position again, go on from there
    ├── Misplaced        a position does not fit its topic any more (recreated, re-partitioned, expired): stop, loudly
    └── Misconfigured    a setting is wrong: the process does not start

Driver errors are translated into these once, where the driver is called.
"""

from __future__ import annotations


class WaypostError(Exception):
    """Base of the tree; never raised itself."""


class Rejected(WaypostError):
    """Data that can never be processed as it is.

    `code` is snake_case and stable, `message` says what to do, `pointer` is a JSON pointer (RFC 6901) to the culprit,
    "" for the whole document.
    """

    def __init__(self, code: str, message: str, pointer: str = "") -> None:
        super().__init__(f"{code} at {pointer or '/'}: {message}")
        self.code = code
        self.message = message
        self.pointer = pointer

    @classmethod
    def because(cls, error: Exception) -> Rejected:
        """What a record is rejected with on which this error was raised, foreseen or not."""
        return error if isinstance(error, Rejected) else cls("not_processable", f"{type(error).__name__}: {error}")


class Unavailable(WaypostError):
    """Something outside does not answer; the same call may succeed later."""

    def __init__(self, what: str, retry_after_s: int = 1) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


class Contended(Unavailable):
    """Another writer was in the way; the same work will go through when it is tried again."""


class PositionMoved(WaypostError):
    """A compare-and-set on a position found another value: another member of the group has gone on from here."""


class Misplaced(WaypostError):
    """A stored position does not fit the topic any more; the message names the command that mends it."""


class Misconfigured(WaypostError):
    """A setting is missing, unknown or malformed; the message names it and says what it may be."""
