"""Puts the tables that a rebuild has filled in the place of the live ones, in the caller's transaction, while no consumer writes.

Rows are replaced, tables stay: whoever asks in a snapshot goes on seeing what was, and nobody's connection notices. Of the months,
those whose facts are the same keep their versions; the others, and those that are gone, are listed for the relay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Identity, Row, Table

from schemas.calendar import month_text
from schemas.facts import month_key
from services.journey.store.people import decode, pack, unpack
from services.journey.store.shadow import STORED, Shadow, attached
from services.journey.store.tables import (
    DONE,
    ERASED_PERSON,
    ERASURE,
    GONE_MONTH,
    INSTALLATION,
    METADATA,
    MONTH,
    PERSON,
    UNPUBLISHED,
)
from services.journey.store.versions import next_version
from services.shared.bus import partition_of
from services.shared.db import Database, Keys

PAGE = 5_000
KEPT = frozenset({INSTALLATION.name, UNPUBLISHED.name, GONE_MONTH.name, ERASURE.name, ERASED_PERSON.name, DONE.name})
"""Tables that no touchpoint and no command brings back: what was published, and what was done. They stay as they are, or are kept up here."""
_KEPT_VERSIONS = {
    MONTH.name: "LEFT JOIN kept_month k ON k.root_id = o.root_id AND k.month = o.month",
    PERSON.name: "LEFT JOIN kept_person k ON k.root_id = o.root_id",
}
"""{table with versions: where those that rows keep are, beside `o`}."""
_BOTH = (
    "{new}month n JOIN {new}person q ON q.root_id = n.root_id JOIN person p ON p.person_id = q.person_id AND p.too_large = q.too_large "
    "JOIN month m ON m.root_id = p.root_id AND m.month = n.month"
)
"""Months that there were and are, of the same person, who was not set aside because of one since, or brought back."""


class Switching:
    """One switch. `live` is asked in the caller's transaction, on PostgreSQL with the positions locked."""

    def __init__(self, live: Database, shadow: Shadow, partitions: int) -> None:
        self._db, self._shadow, self._partitions = live, shadow, partitions

    def switch(self, tx: Connection, made_by: str) -> int:
        """Returns how many months are published again."""
        new = attached(tx, self._shadow.database, "rebuilt")
        self._execute(tx, "UPDATE installation SET epoch = epoch + 1, made_by = :made_by", {"made_by": made_by})
        version = next_version(self._db, tx)
        self._keep_versions(tx, new)
        changed = self._list_changes(tx, new)
        self._keep_person_versions(tx, new)
        for table in METADATA.sorted_tables:
            if table.name not in KEPT:
                self._replace(tx, new, table, version)
        self._execute(tx, "DELETE FROM position WHERE topic = :topic", {"topic": STORED[0]})
        self._publish(tx, version)
        return changed

    # -- what is the same ---------------------------------------------------------------------------------------------------

    def _keep_versions(self, tx: Connection, new: str) -> None:
        """`kept_month`: months of the new tables whose facts are those that were published, with the versions they had."""
        self._temporary(tx, "kept_month", "root_id BIGINT, month INTEGER, version BIGINT, PRIMARY KEY (root_id, month)")
        self._temporary(tx, "pending_month", "root_id BIGINT, month INTEGER, PRIMARY KEY (root_id, month)")
        self._execute(tx, "INSERT INTO pending_month SELECT DISTINCT root_id, month FROM unpublished")
        published = "NOT EXISTS (SELECT 1 FROM pending_month u WHERE u.root_id = m.root_id AND u.month = m.month)"
        self._execute(
            tx,
            f"INSERT INTO kept_month SELECT n.root_id, n.month, m.version FROM {_BOTH} WHERE m.facts = n.facts AND {published}",
            new=new,
        )
        differing = (
            f"SELECT n.root_id, n.month, m.version, m.facts, n.facts FROM {_BOTH} WHERE m.facts <> n.facts AND {published}"
        )
        for rows in self._pages(tx, differing, new):
            same = [row[:3] for row in rows if _facts(row[3]) == _facts(row[4])]
            self._execute(
                tx,
                "INSERT INTO kept_month SELECT k.root_id, k.month, k.version FROM {k}",
                k=Keys({"root_id": "bigint", "month": "integer", "version": "bigint"}, [tuple(row) for row in same]),
            )

    def _list_changes(self, tx: Connection, new: str) -> int:
        """`changed_month`: all others – what differs, what is gone, and what nobody has published yet – with people by their new roots."""
        self._temporary(tx, "changed_month", "root_id BIGINT, month INTEGER, PRIMARY KEY (root_id, month)")
        add = "INSERT INTO changed_month SELECT DISTINCT"
        self._execute(
            tx,
            f"{add} n.root_id, n.month FROM {{new}}month n JOIN {{new}}person q ON q.root_id = n.root_id "
            "LEFT JOIN person p ON p.person_id = q.person_id LEFT JOIN month m ON m.root_id = p.root_id AND m.month = n.month "
            "LEFT JOIN kept_month k ON k.root_id = n.root_id AND k.month = n.month "
            "WHERE k.root_id IS NULL AND (m.root_id IS NOT NULL OR n.facts <> :nothing)",
            {"nothing": pack(b"{}")},
            new=new,
        )
        of_live = "JOIN person p ON p.root_id = m.root_id JOIN {new}person q ON q.person_id = p.person_id"
        gone = "WHERE NOT EXISTS (SELECT 1 FROM {new}month n WHERE n.root_id = q.root_id AND n.month = m.month)"
        for old in (f"month m {of_live} {gone}", f"pending_month m {of_live} WHERE true"):
            self._execute(tx, f"{add} q.root_id, m.month FROM {old} ON CONFLICT DO NOTHING", new=new)
        ((count,),) = self._execute(tx, "SELECT count(*) FROM changed_month")
        return int(count)

    def _keep_person_versions(self, tx: Connection, new: str) -> None:
        """`kept_person`: people none of whose months changed."""
        self._temporary(tx, "kept_person", "root_id BIGINT PRIMARY KEY, version BIGINT")
        self._execute(
            tx,
            "INSERT INTO kept_person SELECT q.root_id, p.version FROM {new}person q JOIN person p ON p.person_id = q.person_id "
            "WHERE NOT EXISTS (SELECT 1 FROM changed_month c WHERE c.root_id = q.root_id)",
            new=new,
        )

    # -- what takes its place -----------------------------------------------------------------------------------------------

    def _replace(self, tx: Connection, new: str, table: Table, version: int) -> None:
        columns = [column.name for column in table.columns]
        kept = _KEPT_VERSIONS.get(table.name, "")
        chosen = ["coalesce(k.version, :version)" if kept and column == "version" else f"o.{column}" for column in columns]
        parameters: dict[str, object] = {"version": version} if kept else {}
        self._execute(tx, f"DELETE FROM {table.name}")
        self._execute(
            tx,
            f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(chosen)} FROM {{new}}{table.name} o {kept}",
            parameters,
            new=new,
        )
        if self._db.is_postgres:
            for column in table.columns:
                if isinstance(column.server_default, Identity):
                    last = f"(SELECT coalesce(max({column.name}), 0) + 1 FROM {table.name})"
                    self._execute(tx, f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), {last})")

    def _publish(self, tx: Connection, version: int) -> None:
        self._execute(tx, "DELETE FROM unpublished")
        listed = "SELECT n.root_id, n.month, p.person_id FROM changed_month n JOIN person p ON p.root_id = n.root_id WHERE true"
        for rows in self._pages(tx, listed, ""):
            due = [(self._partition(row[2], row[1]), row[0], row[1], version) for row in rows]
            self._db.insert(tx, UNPUBLISHED, ("partition", "root_id", "month", "version"), due)

    # -- statements ---------------------------------------------------------------------------------------------------------

    def _partition(self, person_id: str, month: int) -> int:
        return partition_of(month_key(person_id, month_text(month)), self._partitions)

    def _pages(self, tx: Connection, select: str, new: str) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
        """The rows of a statement whose first columns are `n.root_id, n.month`, page by page."""
        last = (-(2**62), 0)
        page = f"{select} AND (n.root_id, n.month) > (:root, :month) ORDER BY n.root_id, n.month LIMIT {PAGE}"
        while rows := self._execute(tx, page, {"root": last[0], "month": last[1]}, new=new):
            last = (rows[-1][0], rows[-1][1])
            yield rows

    def _temporary(self, tx: Connection, name: str, columns: str) -> None:
        tx.exec_driver_sql(f"CREATE TEMPORARY TABLE {name} ({columns})" + (" ON COMMIT DROP" if self._db.is_postgres else ""))

    def _execute(
        self, tx: Connection, sql: str, parameters: dict[str, object] | None = None, new: str = "", **keys: Keys
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        return self._db.execute(tx, sql.replace("{new}", new), parameters, **keys)


def _facts(packed: bytes | memoryview) -> dict[str, bytes]:
    return {key: bytes(raw) for key, raw in decode(unpack(packed)).items()}
