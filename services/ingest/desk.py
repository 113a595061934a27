"""What ingest's questions ask of: the stored rejected records, and the way to wait for a receipt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from schemas import tokens
from services.ingest.store.rejected import Counted, Listed, Place, RejectedRecords, Replay, Wanted
from services.shared.db import Database
from services.shared.http import not_yet
from services.shared.waiting import Waiting


class Page(NamedTuple):
    """Some rejected records, each with the history of its replays, and how many there are of each code and source."""

    rows: Sequence[tuple[Listed, Sequence[Replay]]]
    next: Place | None
    counts: Sequence[Counted]


class Desk:
    """Opens snapshots for questions. Thread-safe."""

    def __init__(
        self,
        database: Database,
        positions: Callable[[Connection], Mapping[tuple[str, int], int]],
        topics: Sequence[str],
        waiting: Waiting,
    ) -> None:
        self._database, self._positions, self._topics, self._waiting = database, positions, topics, waiting
        self._records = RejectedRecords(database)

    def page(self, wanted: Wanted, after: Place | None, limit: int) -> Page:
        """The next so many, the newest first."""
        with self._database.snapshot() as tx:
            listed = self._records.page(tx, wanted, after, limit + 1)
            shown, more = listed[:limit], len(listed) > limit
            replays = self._records.replays(tx, [one.kept.id for one in shown])
            counts = self._records.counts(tx, wanted)
        rows = [(one, replays.get(one.kept.id, ())) for one in shown]
        return Page(rows, Place(shown[-1].kept.at_us, shown[-1].kept.id) if more else None, counts)

    def wait_for(self, token: str, timeout_s: float) -> None:
        """Return when everything that a receipt's token stands for is stored.

        Raises Problem 504 if that takes longer than `timeout_s`, Rejected for a token that is none.
        """
        wanted = tokens.decode(token, self._topics)

        def passed() -> bool:
            with self._database.snapshot() as tx:
                return tokens.is_passed(wanted, self._positions(tx))

        if not self._waiting.until(passed, timeout_s):
            raise not_yet(token, timeout_s)
