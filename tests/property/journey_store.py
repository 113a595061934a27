"""Journey's store under test: batches go in as the consumer gives them, and everything that is kept comes out by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from schemas import channels
from schemas.commands import Command
from schemas.facts import Fact
from services.journey.domain.commands import read_decision
from services.journey.domain.fold import FoldRules
from services.journey.domain.marketing import marketing_channel
from services.journey.main import commanding_of
from services.journey.store.clocks import Clocks
from services.journey.store.commands import StoredCommands
from services.journey.store.folding import Folding
from services.journey.store.identities import Identities
from services.journey.store.ownership import Lockable
from services.journey.store.people import People, decode, unpack
from services.journey.store.releases import Releases
from services.journey.store.tables import METADATA
from services.journey.store.timing import Timing
from services.journey.store.touchpoints import Touchpoints
from services.journey.store.weights import MOST_BYTES, Weights
from services.journey.store.write import NotLocked, Writer, prepare
from services.shared.db import Database
from tests.builders import incoming, read

Record = bytes | Command
"""A touchpoint as it travels, or a command."""
NAMESPACE = UUID(int=42)
PARTITIONS = 4
RULES = FoldRules(partial(marketing_channel, rules=channels.load(None)))
_fact = msgspec.json.Decoder(Fact)


class Kept(NamedTuple):
    """All that the store keeps, with names in the place of numbers, without versions and what is gone.

    `customers` are those of each handle, with how many and the only one; a shared handle's are not counted on. `stands_for` are the
    identities that don't stand for themselves; `sets` by the identities as sent: as they stand, the customer, and the parted pairs.
    """

    touchpoints: dict[tuple[str, str, str], tuple[str, bytes, tuple[object, ...]]]
    people: dict[str, tuple[object, ...]]
    months: dict[tuple[str, int], tuple[bytes, dict[str, Fact]]]
    journeys: dict[str, tuple[object, ...]]
    cases: dict[tuple[str, str], tuple[object, ...]]
    customers: dict[str, tuple[int, str | None]]
    stands_for: dict[str, str]
    sets: dict[tuple[str, ...], tuple[object, ...]]
    memberships: set[tuple[str, tuple[str, ...]]]
    clocks: dict[tuple[str, str, int], int]
    released: set[tuple[str, str, str]]


class Store:
    """A writer and its database. `limit`: the most customers that a handle may have."""

    def __init__(self, database: Database) -> None:
        self.database = database
        prepare(database)
        with database.transaction() as tx:
            database.execute(tx, "UPDATE installation SET namespace = :namespace", {"namespace": str(NAMESPACE)})

    def clear(self) -> None:
        with self.database.transaction() as tx:
            for table in METADATA.sorted_tables:
                if table.name != "installation":
                    tx.exec_driver_sql(f"DELETE FROM {table.name}")

    def take(
        self,
        batches: Iterable[Sequence[Record]],
        limit: int = 100,
        bot_touchpoints: int = 50_000,
        most_bytes: int = MOST_BYTES,
        before_commit: Callable[[Connection], None] = lambda tx: None,
    ) -> None:
        """Each batch in a transaction of its own, tried again with what it has to lock."""
        writer = writer_of(self.database, limit, bot_touchpoints, most_bytes)
        for batch in batches:
            also: frozenset[Lockable] = frozenset()
            while (more := self._try(writer, batch, also, before_commit)) is not None:
                assert not more <= also, "asked twice for the same locks"
                also |= more

    def _try(
        self, writer: Writer, batch: Sequence[Record], also: frozenset[Lockable], before_commit: Callable[[Connection], None]
    ) -> frozenset[Lockable] | None:
        """None if it was taken, else what has to be locked as well."""
        try:
            with self.database.transaction() as tx:
                take(self.database, writer, tx, batch, also)
                before_commit(tx)
        except NotLocked as error:
            return error.identities
        return None

    def kept(self, limit: int = 100) -> Kept:
        with self.database.snapshot() as tx:
            return self._kept(tx, limit)

    def _kept(self, tx: Connection, limit: int) -> Kept:
        names = {row[0]: row[1] for row in self._rows(tx, "SELECT id, name FROM identity")}
        sent = {row[0]: members(names, row[1]) for row in self._rows(tx, "SELECT id, members FROM identity_set")}
        sets: dict[tuple[str, ...], tuple[object, ...]] = {
            sent[row[0]]: (members(names, row[1] or row[2]), names.get(row[3]), pairs(names, row[4] or ""))
            for row in self._rows(tx, "SELECT id, standing, members, customer_id, parted FROM identity_set")
        }
        memberships = {
            (names[row[0]], sent[row[1]])
            for row in self._rows(
                tx, "SELECT identity_id, set_id FROM membership UNION ALL SELECT identity_id, set_id FROM standing"
            )
        }
        stands_for = {
            row[0]: names[row[1]] for row in self._rows(tx, "SELECT name, stands_for FROM identity WHERE stands_for IS NOT NULL")
        }
        touchpoints = {
            (names[row[2]], row[0], row[1]): (names[row[4]], hashlib.sha256(row[9]).digest(), (sent[row[3]], *row[5:9]))
            for row in self._rows(
                tx,
                "SELECT source, id, anchor_id, set_id, owner_id, time_us, original_us, received_us, case_rank, body FROM touchpoint",
            )
        }
        people = {
            names[row[0]]: (row[1], row[2], bool(row[3]), bool(row[4]), *row[5:10], unpack(row[10]))
            for row in self._rows(
                tx,
                "SELECT root_id, person_id, touchpoints, suspected_bot, too_large, last_time_us, last_original_us, last_case_rank, last_source, "
                "last_id, state FROM person WHERE touchpoints > 0",
            )
        }
        months = {
            (names[row[0]], row[1]): (unpack(row[2]), facts_of(unpack(row[3])))
            for row in self._rows(tx, "SELECT root_id, month, opening, facts FROM month")
        }
        journeys = {
            row[0]: (names[row[1]], *row[2:])
            for row in self._rows(
                tx,
                "SELECT id, root_id, started_us, last_us, entry_stage, furthest_stage, current_stage, channel, source, first_source, "
                "first_id FROM journey WHERE NOT gone",
            )
        }
        cases = {
            (row[0], row[1]): (names[row[2]], *row[3:7], bool(row[7]), bytes(row[8]))
            for row in self._rows(
                tx, "SELECT system, case_id, root_id, opened_us, last_us, channel, topic, resolved, fact FROM service_case"
            )
        }
        customers = {
            row[0]: (min(row[1], limit + 1), names.get(row[2]))
            for row in self._rows(tx, "SELECT name, customers, customer_id FROM identity WHERE customers > 0")
        }
        clocks = {
            (row[0], names.get(row[1], ""), row[2]): row[3]
            for row in self._rows(tx, "SELECT source, device_id, day, least_us FROM clock_day")
        }
        released = {
            (row[0], names[row[1]], names.get(row[2], ""))
            for row in self._rows(tx, "SELECT command_id, identity_id, root_id FROM released")
        }
        return Kept(touchpoints, people, months, journeys, cases, customers, stands_for, sets, memberships, clocks, released)

    def _rows(self, tx: Connection, sql: str) -> Sequence[Any]:
        return self.database.execute(tx, sql)


def writer_of(database: Database, limit: int = 100, bot_touchpoints: int = 50_000, most_bytes: int = MOST_BYTES) -> Writer:
    identities, touchpoints, people = Identities(database), Touchpoints(database), People(database, PARTITIONS)
    folding = Folding(people, touchpoints, Releases(database, limit), RULES, read, bot_touchpoints)
    timing, weights = Timing(Clocks(database), read), Weights(database, people, most_bytes)
    return Writer(NAMESPACE, limit, identities, StoredCommands(database), touchpoints, timing, people, folding, weights)


def take(database: Database, writer: Writer, tx: Connection, batch: Sequence[Record], also: frozenset[Lockable]) -> None:
    """A batch as the consumer takes it: the commands, then the touchpoints."""
    decisions = [read_decision(msgspec.json.encode(record)) for record in batch if isinstance(record, Command)]
    commanding_of(database, writer).take(tx, decisions, also)
    writer.take(tx, [incoming(record) for record in batch if isinstance(record, bytes)], also)


def members(names: dict[int, str], ids: str) -> tuple[str, ...]:
    return tuple(names[int(id)] for id in ids.split())


def pairs(names: dict[int, str], ids: str) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted(members(names, pair.replace("-", " ")) for pair in ids.split()))


def facts_of(raw: bytes) -> dict[str, Fact]:
    return {key: _fact.decode(fact) for key, fact in decode(raw).items()}
