"""Which code and settings journey's tables were made with. A process with others writes nothing, until a rebuild has made them anew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from services.shared.db import Database
from services.shared.errors import Unavailable

MEND = "waypost rebuild journey"
VERSION = 10
"""Raised when the code comes to derive something else from the same touchpoints and commands."""


def fingerprint(settings: Sequence[object]) -> str:
    """What the tables depend on beside touchpoints and commands: the version of the code, and these settings (as JSON)."""
    return hashlib.sha256(msgspec.json.encode([VERSION, *settings])).hexdigest()[:16]


class Generation:
    """The generation of one process: `made_by` is the fingerprint of its settings."""

    def __init__(self, database: Database, made_by: str) -> None:
        self._db, self.made_by = database, made_by

    def adopt(self) -> None:
        """Take over a database in which nothing is stored yet."""
        with self._db.transaction() as tx:
            self._db.execute(
                tx,
                "UPDATE installation SET made_by = :made_by WHERE NOT EXISTS (SELECT 1 FROM touchpoint) "
                "AND (made_by IS NULL OR made_by <> :made_by)",
                {"made_by": self.made_by},
            )

    def hold(self, tx: Connection) -> None:
        """Raises Unavailable if the tables are of another generation. Ask after moving a position: rebuilds lock those."""
        ((stored,),) = self._db.execute(tx, "SELECT made_by FROM installation")
        if stored != self.made_by:
            raise Unavailable(
                "journeys were made with another version, vocabulary, time zone or other settings than this process has: "
                f"run `{MEND}` with its settings, or restart it with those of the others"
            )

    def check(self) -> None:
        """The same, at any time."""
        with self._db.snapshot() as tx:
            self.hold(tx)
