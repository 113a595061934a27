"""Brings a room's tables up to what this code knows: one history of Alembic migrations per room, run at start.

One process does it, in one transaction, while the others wait. Alembic is loaded only when there is something to do. How to
change a table: docs/decisions/0014-migrations.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect

from services.shared.db import Database
from services.shared.errors import Misconfigured

VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class History:
    """A room's migrations: the files `m0001_….py`, `m0002_….py`, … in `folder`, each named after its revision.

    `first_table` is made by the first of them: a database that has it and no revision is of the time before there were migrations.
    """

    room: str
    folder: Path
    first_table: str

    def revisions(self) -> Sequence[str]:
        """All revisions, the oldest first."""
        return sorted(file.name[1:5] for file in self.folder.glob("m[0-9][0-9][0-9][0-9]_*.py"))


def migrate(database: Database, history: History) -> None:
    """Make what is missing, up to the newest revision. Safe from several processes at once.

    Raises Misconfigured, and changes nothing, if the database is newer than this code.
    """
    known = history.revisions()
    with database.preparing() as tx:
        tables = set(inspect(tx).get_table_names())
        current = _current(database, tx) if VERSION_TABLE in tables else None
        if current == known[-1]:
            return
        if current is not None and current not in known:
            raise Misconfigured(
                f"the database of {history.room} was made by a newer version of Waypost (its tables are those of {current}, this "
                f"version knows them up to {known[-1]}); start that version, or restore a backup that this one made"
            )
        if current is None and history.first_table in tables:
            current = known[0]
        _upgrade(tx, history, current)


def revision(database: Database) -> str | None:
    """The revision of a database's tables; None for one that no migration has made."""
    with database.snapshot() as tx:
        return _current(database, tx) if inspect(tx).has_table(VERSION_TABLE) else None


def _current(database: Database, tx: Connection) -> str | None:
    rows = database.execute(tx, f"SELECT version_num FROM {VERSION_TABLE}")
    return str(rows[0][0]) if rows else None


def _upgrade(tx: Connection, history: History, current: str | None) -> None:
    """Run what follows `current`, in the transaction given."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(history.folder), version_locations=[str(history.folder)])

    def steps(known: Any, _context: MigrationContext) -> Any:
        return script._upgrade_revs("head", known)

    context = MigrationContext.configure(tx, opts={"fn": steps, "script": script, "version_table": VERSION_TABLE})
    if current is not None and not context.get_current_heads():
        context.stamp(script, current)
    with Operations.context(context):
        context.run_migrations()
