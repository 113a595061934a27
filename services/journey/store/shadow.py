"""The second set of journey's tables, which a rebuild fills beside the live ones: another SQLite file, or another PostgreSQL schema.

It begins with what no touchpoint and no command brings back – ids of identities, former people and journeys – and with a copy of
all stored touchpoints and commands as of one moment, numbered in the order in which they are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, Table, Text, inspect, make_url

from schemas.commands import Command
from schemas.identity import is_customer
from schemas.times import format_time
from schemas.topics import COMMANDS, TOUCHPOINTS
from services.journey.domain.links import Form
from services.journey.domain.state import State, encode_state
from services.journey.migrations import HISTORY
from services.journey.store.identities import Identities
from services.journey.store.people import pack
from services.journey.store.refolding import NO_KEY
from services.journey.store.tables import ERASED_PERSON, ERASURE, GHOST, POSITION
from services.journey.store.write import prepare
from services.shared.db import Database, Keys, sqlite_url
from services.shared.migrating import revision

Place = tuple[str, int]
"""(topic, partition)."""
STORED: Place = ("(stored)", 0)
"""Where a rebuild stands in the copy of what was stored, among the positions."""
_COPY = Table(
    "rebuilding_body",
    MetaData(),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
_IN_ORDER = "time_us, original_us, case_rank, source, id, anchor_id"


class Placed(NamedTuple):
    """A position as the table keeps it."""

    topic: str
    partition: int
    topic_id: str
    partitions: int
    next_offset: int


class Readable(NamedTuple):
    """What a topic has of one partition: `begin` is where it begins, `end` the offset of the next record."""

    begin: Placed
    end: int


class Stored(NamedTuple):
    """A stored touchpoint or command, as its topic had it."""

    number: int
    topic: str
    body: bytes


class Shadow:
    """Where the second set of tables lies, whether it is there or not. `live` is the room's database."""

    def __init__(self, live: Database) -> None:
        self._live = live
        if live.is_postgres:
            self.database = Database(live.url, _schema(live), pool_size=2)
            self._file = None
        else:
            self._file = _file(live)
            self.database = Database(sqlite_url(self._file), durable=False, pool_size=2)

    def is_of(self, made_by: str) -> bool:
        """Whether a rebuild of this generation was begun, by this version's tables."""
        if self._file is not None and not self._file.exists():
            return False
        with self.database.snapshot() as tx:
            if not inspect(tx).has_table("rebuilding"):
                return False
            rows = self.database.execute(tx, "SELECT made_by FROM rebuilding")
        return [row[0] for row in rows] == [made_by] and revision(self.database) == HISTORY.revisions()[-1]

    def begin(self, made_by: str, topics: Mapping[Place, Readable]) -> None:
        """Copy what there is at one moment. Live positions that don't fit `topics` any more begin anew with what those have."""
        self.drop()
        prepare(self.database)
        with self.database.transaction() as tx:
            if self.database.is_postgres:
                tx.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            live = self.seeing_live(tx)
            for column in ("namespace", "erasure_key"):
                tx.exec_driver_sql(f"UPDATE installation SET {column} = (SELECT {column} FROM {live}installation)")
            self.database.execute(tx, "UPDATE installation SET made_by = :made_by", {"made_by": made_by})
            columns = "id, name, erased_us, wiped_us"
            tx.exec_driver_sql(f"INSERT INTO identity ({columns}) SELECT {columns} FROM {live}identity")
            self._copy_erasures(tx, live)
            if self.database.is_postgres:
                tx.exec_driver_sql(
                    "SELECT setval(pg_get_serial_sequence('identity', 'id'), coalesce(max(id), 0) + 1) FROM identity"
                )
            self.carry(tx)
            self._copy_what_is_stored(tx, live)
            self._copy_positions(tx, live, topics)
            tx.exec_driver_sql("CREATE TABLE rebuilding (made_by TEXT NOT NULL)")
            self.database.execute(tx, "INSERT INTO rebuilding (made_by) VALUES (:made_by)", {"made_by": made_by})

    def seeing_live(self, tx: Connection) -> str:
        """What stands before the name of a live table, in a transaction of these."""
        return attached(tx, self._live, "live")

    def carry(self, tx: Connection) -> None:
        """Bring the identities, people and journeys that there are but not here, as such of which nothing is left."""
        live = self.seeing_live(tx)
        own = f"{live}identity l ON l.id = o.root_id JOIN identity i ON i.name = l.name"
        tx.exec_driver_sql(
            f"INSERT INTO identity (name) SELECT l.name FROM {live}identity l WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.name = l.name)"
        )
        self.database.execute(
            tx,
            "INSERT INTO person (root_id, person_id, version, touchpoints, suspected_bot, last_time_us, last_original_us, "
            "last_case_rank, last_source, last_id, state) "
            "SELECT i.id, o.person_id, o.version, 0, false, CAST(:time_us AS BIGINT), CAST(:original_us AS BIGINT), "
            "CAST(:case_rank AS SMALLINT), CAST(:source AS TEXT), CAST(:id AS TEXT), :state "
            f"FROM {live}person o JOIN {own} WHERE NOT EXISTS (SELECT 1 FROM person p WHERE p.person_id = o.person_id)",
            {**NO_KEY._asdict(), "state": pack(encode_state(State()))},
        )
        columns = "started_us, last_us, entry_stage, furthest_stage, current_stage, channel, source, first_source, first_id"
        listed = ", ".join(f"o.{column}" for column in columns.split(", "))
        tx.exec_driver_sql(
            f"INSERT INTO journey (id, root_id, {columns}, gone) SELECT o.id, i.id, {listed}, true "
            f"FROM {live}journey o JOIN {own} WHERE NOT EXISTS (SELECT 1 FROM journey j WHERE j.id = o.id)"
        )

    def stored(self, tx: Connection, after: int, limit: int) -> list[Stored]:
        """The next touchpoints and commands of the copy."""
        rows = self.database.execute(
            tx,
            "SELECT number, topic, body FROM rebuilding_body WHERE number > :after ORDER BY number LIMIT :limit",
            {"after": after, "limit": limit},
        )
        return [Stored(row[0], row[1], bytes(row[2])) for row in rows]

    def count(self) -> int:
        """How many there are."""
        with self.database.snapshot() as tx:
            return int(self.database.execute(tx, "SELECT coalesce(max(number), 0) FROM rebuilding_body")[0][0])

    def drop(self) -> None:
        """Nothing is left of it."""
        self.database.close()
        if self._file is None:
            with self._live.transaction() as tx:
                tx.exec_driver_sql(f'DROP SCHEMA IF EXISTS "{self.database.schema}" CASCADE')
        else:
            for suffix in ("", "-wal", "-shm"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)

    def _copy_erasures(self, tx: Connection, live: str) -> None:
        """What erasures left, which nothing brings back: ghosts, with their sets as they were sent."""
        for table in (ERASURE, ERASED_PERSON, GHOST):
            columns = ", ".join(column.name for column in table.columns)
            tx.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {live}{table.name}")
        identities = Identities(self.database)
        haunted = tx.exec_driver_sql(f"SELECT id, members FROM {live}identity_set WHERE has_ghosts").fetchall()
        members = {row[0]: tuple(map(int, row[1].split())) for row in haunted}
        known = {one.id: one for one in identities.read_ids(tx, {member for of in members.values() for member in of})}
        wanted = {of: is_customer(known[of[0]].name) for of in members.values()}

        def as_sent(sets: Collection[tuple[int, ...]]) -> dict[tuple[int, ...], Form]:
            return {of: Form(of, of[0] if wanted[of] else None, frozenset()) for of in sets}

        made, _ = identities.intern(tx, wanted, as_sent)
        renumbered = Keys({"old": "bigint", "new": "bigint"}, [(old, -made[of].id) for old, of in members.items()])
        self.database.execute(tx, "UPDATE ghost SET set_id = k.new FROM {k} WHERE ghost.set_id = k.old", k=renumbered)
        tx.exec_driver_sql("UPDATE ghost SET set_id = -set_id WHERE set_id < 0")
        tx.exec_driver_sql("UPDATE identity_set SET has_ghosts = true")
        if known:
            identities.haunt(tx, known)
            identities.recount(tx, [one for one in known if not is_customer(known[one].name)])

    def _copy_what_is_stored(self, tx: Connection, live: str) -> None:
        commands = self._commands(tx, live)
        numbered = [(number, COMMANDS, body) for number, body in enumerate(commands, 1)]
        _COPY.create(tx)
        self.database.insert(tx, _COPY, ("number", "topic", "body"), numbered)
        tx.exec_driver_sql(
            f"INSERT INTO rebuilding_body (number, topic, body) SELECT {len(commands)} + o.number, '{TOUCHPOINTS}', t.body FROM "
            f"(SELECT row_number() OVER (ORDER BY {_IN_ORDER}) AS number, source, id, anchor_id FROM {live}touchpoint) o "
            f"JOIN {live}touchpoint t ON t.source = o.source AND t.id = o.id AND t.anchor_id = o.anchor_id"
        )

    def _commands(self, tx: Connection, live: str) -> list[bytes]:
        """Commands as they were on their topic, the oldest first."""
        rows = self.database.execute(
            tx,
            f"SELECT c.id, c.action, c.at_us, c.decided_by, c.reason, i.name, j.name FROM {live}command c "
            f"JOIN {live}identity i ON i.id = c.one_id LEFT JOIN {live}identity j ON j.id = c.other_id ORDER BY c.at_us, c.id",
        )
        return [msgspec.json.encode(_command(row)) for row in rows]

    def _copy_positions(self, tx: Connection, live: str, topics: Mapping[Place, Readable]) -> None:
        rows = self.database.execute(tx, f"SELECT topic, partition, topic_id, partitions, next_offset FROM {live}position")
        known = {(row[0], row[1]): Placed(*row) for row in rows}
        begun = [_fitting(known.get(place), given) for place, given in topics.items()]
        self.database.insert(tx, POSITION, Placed._fields, [*begun, Placed(*STORED, "", 1, 0)])


def leftover(live: Database, tx: Connection) -> str | None:
    """The file or the schema of a second set of tables, of a rebuild under way or of one that was interrupted; None if there is none."""
    if live.is_postgres:
        found = live.execute(tx, "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name", {"name": _schema(live)})
        return f"schema {_schema(live)}" if found else None
    return str(_file(live)) if _file(live).exists() else None


def _schema(live: Database) -> str:
    return f"{live.schema or 'public'}_rebuild"


def _file(live: Database) -> Path:
    file = Path(make_url(live.url).database or "journey.db")
    return file.with_name(f"{file.stem}-rebuild{file.suffix}")


def attached(tx: Connection, database: Database, name: str) -> str:
    """Make another database's tables readable in this transaction; returns what stands before their names."""
    if database.is_postgres:
        return f'"{database.schema or "public"}".'
    if name not in [row[1] for row in tx.exec_driver_sql("PRAGMA database_list").fetchall()]:
        tx.exec_driver_sql(f"ATTACH DATABASE ? AS {name}", (make_url(database.url).database,))
    return f"{name}."


def _command(row: Sequence[object]) -> Command:
    id, action, at_us, by, reason, *identities = row
    named = [str(name) for name in identities if name is not None]
    return msgspec.convert(
        {"id": id, "action": action, "identities": named, "by": by, "at": format_time(int(str(at_us))), "reason": reason}, Command
    )


def _fitting(known: Placed | None, topic: Readable) -> Placed:
    """Where to go on: where journey stands, unless the topic was made anew or does not have that any more."""
    if known is not None and known[2:4] == topic.begin[2:4] and topic.begin.next_offset <= known.next_offset <= topic.end:
        return known
    return topic.begin
