"""Two writers on two PostgreSQL sessions that take their statements one at a time, when they are told to."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, event

from services.journey.store.ownership import Lockable
from services.journey.store.write import NotLocked
from services.shared.db import Database
from services.shared.errors import Contended
from tests.property.journey_store import Record, take, writer_of

LOOK_S = 0.005
"""How often to ask the database whether a statement waits for a lock."""
PATIENCE_S = 30.0


class Stepper:
    """A writer of one batch on a thread and a connection of its own. Before each statement and each commit it waits for leave.

    A transaction that was in somebody's way is tried again, as the consumer does.
    """

    def __init__(self, database: Database, batch: Sequence[Record], limit: int) -> None:
        self._database, self._batch = database, batch
        self._writer = writer_of(database, limit)
        self._changed = threading.Condition()
        self._leave = 0.0
        self._is_waiting = False
        self._pid = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        event.listen(database.engine, "before_cursor_execute", self._before_statement)
        event.listen(database.engine, "commit", self._before)
        self._thread.start()
        self._settled(database)

    def step(self, watcher: Database) -> bool:
        """Let one more statement happen; whether it did (not: it waits for a lock of the other's, or all is done)."""
        with self._changed:
            if not self._thread.is_alive() or not self._is_waiting:
                return False
            self._is_waiting = False
            self._leave += 1
            self._changed.notify_all()
        return self._settled(watcher)

    def finish(self, watcher: Database) -> None:
        """Let everything happen, until all is done or it waits for a lock of the other's (then it goes on by itself)."""
        with self._changed:
            self._leave = math.inf
            self._is_waiting = False
            self._changed.notify_all()
        self._settled(watcher)

    def join(self) -> None:
        """Wait for the end; raises what the writer raised."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the writer does not come to an end"
        event.remove(self._database.engine, "before_cursor_execute", self._before_statement)
        event.remove(self._database.engine, "commit", self._before)
        if self._error is not None:
            raise self._error

    def _settled(self, watcher: Database) -> bool:
        """Wait until the writer asks for leave or is done (True), or waits for a lock (False)."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._is_waiting or not self._thread.is_alive(), LOOK_S):
                    return True
            if self._pid and self._is_blocked(watcher):
                return False

    def _is_blocked(self, watcher: Database) -> bool:
        with watcher.snapshot() as tx:
            return bool(watcher.execute(tx, "SELECT cardinality(pg_blocking_pids(:pid)) > 0", {"pid": self._pid})[0][0])

    def _run(self) -> None:
        also: frozenset[Lockable] = frozenset()
        try:
            while True:
                try:
                    with self._database.transaction() as tx:
                        take(self._database, self._writer, tx, self._batch, also)
                    return
                except NotLocked as error:
                    also |= error.identities
                except Contended:
                    continue
        except BaseException as error:
            self._error = error
            raise
        finally:
            with self._changed:
                self._changed.notify_all()

    def _before_statement(self, tx: Connection, *_: Any) -> None:
        self._before(tx)

    def _before(self, tx: Connection) -> None:
        driver: Any = tx.connection.driver_connection
        with self._changed:
            self._pid = driver.info.backend_pid
            self._is_waiting = True
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._leave >= 1, PATIENCE_S), "nobody gave leave"
            self._leave -= 1
            self._is_waiting = False
