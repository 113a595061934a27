"""Over how many partitions of `journeys` months are spread: as many as there were at the first start, however many are added.

A month that is published to another partition than before would be there twice for whoever reads the topic.
"""

from __future__ import annotations

from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from services.journey.store.tables import GONE_MONTH, UNPUBLISHED
from services.shared.bus import partition_of
from services.shared.db import Database


def adopted(database: Database, there: int) -> int:
    """The number that is remembered; from now on `there`, if there is none."""
    with database.transaction() as tx:
        database.execute(tx, "UPDATE installation SET spread = :there WHERE spread IS NULL", {"there": there})
        return remembered(database, tx) or there


def remembered(database: Database, tx: Connection) -> int | None:
    """None before the first start."""
    found: int | None = database.execute(tx, "SELECT spread FROM installation")[0][0]
    return found


def fitted(database: Database, tx: Connection, there: int) -> int:
    """The same for a topic that may have been made anew with fewer partitions: what waits to be published moves to those that there are.

    No journey process may run.
    """
    spread = remembered(database, tx)
    if spread is not None and spread <= there:
        return spread
    database.execute(tx, "UPDATE installation SET spread = :there", {"there": there})
    _move_unpublished(database, tx, there)
    _move_gone(database, tx, there)
    return there


def _move_unpublished(database: Database, tx: Connection, spread: int) -> None:
    rows = database.execute(
        tx,
        "SELECT p.person_id, u.month, u.root_id, max(u.version) FROM unpublished u JOIN person p ON p.root_id = u.root_id "
        "GROUP BY p.person_id, u.month, u.root_id",
    )
    moved = [(_place(row[0], row[1], spread), row[2], row[1], row[3]) for row in rows]
    database.execute(tx, "DELETE FROM unpublished")
    database.insert(tx, UNPUBLISHED, ("partition", "root_id", "month", "version"), moved)


def _move_gone(database: Database, tx: Connection, spread: int) -> None:
    """They are to be published as gone once more."""
    rows = database.execute(tx, "SELECT person_id, month, version, erasure FROM gone_month ORDER BY version")
    newest = {(row[0], row[1]): row for row in rows}
    database.execute(tx, "DELETE FROM gone_month")
    moved = [(_place(*key, spread), *row) for key, row in newest.items()]
    database.insert(tx, GONE_MONTH, ("partition", "person_id", "month", "version", "erasure"), moved)


def _place(person_id: str, month: int, spread: int) -> int:
    return partition_of(month_key(person_id, month_text(month)), spread)
