"""Deletes rejected records that are older than they may get: a thread that wakes now and then, a little in each transaction."""

from __future__ import annotations

import threading

from schemas.times import DAY_US
from services.ingest.store.rejected import RejectedRecords
from services.shared.clock import Clock
from services.shared.db import Database
from services.shared.errors import Unavailable
from services.shared.log import Log

INTERVAL_S = 60.0
STEP = 500
"""Rows in one transaction: what comes in waits no longer than these take."""


class Upkeep:
    """Of one process; several of them do no harm."""

    def __init__(self, database: Database, days: int, clock: Clock, log: Log) -> None:
        self._database, self._days, self._clock, self._log = database, days, clock, log
        self._records = RejectedRecords(database)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest-upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def expire(self) -> int:
        """Delete what is too old now; returns how many. Raises Unavailable."""
        before_us, count = self._clock() - self._days * DAY_US, 0
        while not self._closing.is_set():
            with self._database.transaction() as tx:
                deleted = self._records.expire(tx, before_us, STEP)
            count += deleted
            if deleted < STEP:
                break
        return count

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            try:
                if count := self.expire():
                    self._log.info("rejected_records_expired", count=count)
            except Unavailable as error:
                self._log.warning("rejected_records_not_expired", reason=str(error))
