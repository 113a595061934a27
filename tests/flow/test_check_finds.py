"""One stored value of each kind is made wrong by hand, in every column of every table and on the topic: the check finds it.

A column that is not found has to be named in `NOT_FOUND`, with the reason; who adds one decides which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, LargeBinary, MetaData, Table

from schemas import tokens, topics, vocabulary
from schemas.calendar import Calendar
from schemas.commands import Command
from schemas.facts import WATERMARK_KEY
from schemas.times import format_time
from services.journey.consumer import derivation
from services.journey.domain.commands import read_decision
from services.journey.main import commanding_of, fold_rules, writer_of
from services.journey.store import tables as journey_tables
from services.journey.store.checking import Checking
from services.journey.store.receipts import Receipts
from services.journey.store.write import prepare
from services.metrics.main import build as build_metrics
from services.metrics.store import checking as metrics_checking
from services.metrics.store import filling
from services.metrics.store import tables as metrics_tables
from services.metrics.store.rebuilding import Rebuilding
from services.shared.bus import Bus, Outgoing
from services.shared.bus.embedded import EmbeddedBus
from services.shared.checked import Checked, finished
from services.shared.config import Settings
from services.shared.db import Database, sqlite_url
from services.shared.errors import Unavailable
from services.shared.positions import Positions
from services.shared.waiting import Waiting
from tests.builders import DAY_US, HOUR_US, START_US, body, case, erase, incoming, link, order, survey, touchpoint, unlink
from tests.flow.journey_room import PARTITIONS, running, settings_of
from tests.parts.postgres import Postgres

ROOMS: Mapping[str, MetaData] = {"journey": journey_tables.METADATA, "metrics": metrics_tables.METADATA}

NOT_FOUND: Mapping[str, str] = {
    "journey.installation.journeys_id": "what the relay remembers of the topic; made wrong, everything is published again",
    "journey.installation.journeys_begin": "as journeys_id",
    "journey.installation.journeys_end": "as journeys_id",
    "journey.installation.made_by": "not a value that is counted from others: a process with other settings refuses to write",
    "journey.erasure.applied_us": "when it was carried out: nothing else was noted then",
    "journey.done.command": "another room may say so before journey has come to the command",
    "journey.done.part": "a name that the other room gives, to tell what it says apart",
    "journey.done.at_us": "by the other room's clock",
    "metrics.generation.hash": "a process whose settings give another hash neither writes, answers nor checks, and says so",
    "metrics.filling.step": "compared with itself only, to tell who went on from here; any number will do",
    "metrics.filling.total": "an estimate, for the progress that is shown",
    "metrics.fact_change.id": "an order in which to count; sums don't depend on it",
}
"""ROOM.TABLE.COLUMN, or `*` for a whole table: why the check can't find it."""

WHERE: Mapping[str, str] = {
    "journey.touchpoint.has_copies": "has_copies",
    "journey.journey": "NOT gone",
    "journey.identity.stands_for": "stands_for IS NOT NULL",
    "journey.identity.customer_id": "customer_id IS NOT NULL",
    "journey.identity_set.customer_id": "customer_id IS NOT NULL",
    "journey.identity_set.standing": "standing IS NOT NULL",
    "journey.identity_set.parted": "parted IS NOT NULL",
    "journey.person": "touchpoints > 1",
    "journey.identity.has_ghosts": "has_ghosts",
    "journey.identity_set.has_ghosts": "has_ghosts",
    "journey.ghost.received_us": "received_us < original_us",
    "journey.ghost.original_us": "received_us > original_us",
    "journey.erasure": "removed LIKE '%touchpoints%'",
    "metrics.rollup": "generation = 1",
    "metrics.histogram": "generation = 1",
    "metrics.fact_change": "sign = 1",
}
"""Which row is made wrong, where any would not do."""

GONE_AND_COUNTED = (
    "sign = -1 AND (partition, person_id, month, key) <= "
    "(SELECT after_partition, after_person_id, after_month, after_key FROM filling)"
)
"""A fact that left after the next generation had counted it."""

HEAVY = "journey.too_large"
"""Filled in a world of its own."""

LOWER = frozenset(
    {"journey.installation.version", "journey.installation.epoch", "journey.erasure.refused", "metrics.position.next_offset"}
)
"""Numbers that are wrong when they are too low: what was given out, taken or refused already."""


class World:
    """Both rooms' databases after a few lives, with nothing running; metrics was rebuilt by half, and went on after that."""

    def __init__(self, settings: Settings, databases: Mapping[str, Database], bus: Bus | None) -> None:
        self.settings, self.databases, self.bus = settings, databases, bus

    def check(self, room: str) -> Checked:
        with self.databases[room].snapshot() as tx:
            if room == "metrics":
                calendar = Calendar(self.settings.time_zone)
                return finished(metrics_checking.steps(self.databases[room], tx, calendar, self.bus))
            rules, read = fold_rules(self.settings), derivation(vocabulary.load(None))
            return Checking(self.settings, self.databases[room], tx, rules, read).check(None, self.bus)


LIVES = [
    touchpoint("t1", 0, "anonymous_id:a1", stage="awareness"),
    touchpoint("t2", HOUR_US, "anonymous_id:a1", sent_us=HOUR_US, received_us=3 * HOUR_US),
    touchpoint("t3", DAY_US, "customer_id:c-42", "anonymous_id:a1", "email:a@b.c", stage="purchase"),
    touchpoint("t3", DAY_US, "email:a@b.c", received_us=2 * DAY_US),
    touchpoint("t4", DAY_US + HOUR_US, "customer_id:c-42", order=order("o-1", amount="19.99")),
    touchpoint("t4b", DAY_US + 2 * HOUR_US, "customer_id:c-42", order=order("o-1", "cancelled")),
    touchpoint("t5", 2 * DAY_US, "customer_id:c-42", case=case("9", "opened", topic="returns"), source="desk", system="zendesk"),
    touchpoint("t6", 3 * DAY_US, case=case("9", "resolved"), actor="business", source="desk", system="zendesk"),
    touchpoint("t7", 4 * DAY_US, "email:a@b.c", survey=survey("9", 7), source="desk", system="zendesk"),
    touchpoint("t8", 110 * DAY_US, "customer_id:c-42", channel="app"),
    touchpoint("u1", DAY_US, "customer_id:d", "device_id:x", referral={"code": "x", "referred_by": "customer_id:c-42"}),
    touchpoint("u2", 2 * DAY_US, "customer_id:e", "device_id:x"),
    touchpoint("u3", 3 * DAY_US, "device_id:x", "email:z@b.c"),
    touchpoint("v1", 5 * DAY_US, "customer_id:v"),
    touchpoint("q1", 5 * DAY_US, "anonymous_id:q1"),
    touchpoint("x1", DAY_US, "customer_id:x", "device_id:tablet", "email:x@b.c", order=order("o-x")),
    touchpoint("x2", 3 * DAY_US, "customer_id:x", received_us=2 * DAY_US),
    touchpoint("y1", 2 * DAY_US, "customer_id:y", "device_id:tablet", referral={"code": "x", "referred_by": "customer_id:x"}),
    touchpoint("y2", 5 * DAY_US, "device_id:tablet"),
    touchpoint("p1", DAY_US, "anonymous_id:p1"),
    touchpoint("z1", DAY_US, "customer_id:z", "email:z2@b.c"),
]
COMMANDS = [
    link("customer_id:v", "email:z@b.c", DAY_US),
    link("anonymous_id:q1", "email:q@b.c"),
    unlink("customer_id:d", "device_id:x"),
    Command(id="release", action="release", identities=["customer_id:e"], by="ann", at=format_time(START_US)),
]


ERASURES = [erase(10 * DAY_US, "customer_id:x"), erase(11 * DAY_US, "anonymous_id:p1")]
LATE = [
    touchpoint("x3", 4 * DAY_US, "customer_id:x", "device_id:tablet", received_us=19 * DAY_US),
    touchpoint("x9", 20 * DAY_US, "customer_id:x"),
]
"""Of somebody who is erased: from before, and from after."""
MEANWHILE = [touchpoint(f"m{name}", 30 * DAY_US, f"customer_id:{name}") for name in ("c-42", "d", "e", "v", "y")]
"""While metrics is being rebuilt: each puts an end in the place of another."""


@contextmanager
def worlds(folder: Path, urls: Mapping[str, str]) -> Iterator[World]:
    settings = settings_of(folder)
    with ExitStack() as stack:
        databases = {room: stack.enter_context(closing(Database(url, room))) for room, url in urls.items()}
        with running(settings, databases["journey"]) as room:
            registry = CollectorRegistry()
            metrics = build_metrics(settings, databases["metrics"], room.bus, registry)
            metrics.start()
            for batch in (LIVES[:2], LIVES[2:]):
                room.post(*batch)
                room.get(
                    "/v1/persons/customer_id:v" if batch is not LIVES[:2] and len(batch) > 2 else "/v1/persons/anonymous_id:a1"
                )
            room.token = f"{room.token},{_decide(room.bus, COMMANDS)}"
            room.get("/v1/persons/customer_id:v")
            room.token = f"{room.token},{_decide(room.bus, ERASURES)}"
            room.get("/v1/persons/customer_id:v")
            assert Waiting().until(lambda: _are_done(databases["journey"]), 30)
            room.post(*LATE)
            room.get("/v1/persons/customer_id:x")
            metrics.desk.wait_for(room.token, 20)
            _rebuild_by_half(settings, databases["metrics"], room.bus)
            room.post(*MEANWHILE)
            metrics.desk.wait_for(room.token, 20)
            metrics.stop()
        bus = stack.enter_context(closing(EmbeddedBus(folder / "bus.db")))
        _count_the_rest(settings, databases["metrics"], bus)
        _leave_unpublished(settings, databases["journey"])
        yield World(settings, databases, bus)


def _rebuild_by_half(settings: Settings, database: Database, bus: Bus) -> None:
    """All but the last few facts are counted in the next generation."""
    for _ in Rebuilding(database, bus.describe(topics.JOURNEYS), settings.time_zone, page=7).steps():
        with database.snapshot() as tx:
            now = filling.current(database, tx)
        if now is not None and now.until == filling.END:
            return


def _count_the_rest(settings: Settings, database: Database, bus: Bus) -> None:
    """What journey published on its way out."""
    ends = bus.end_offsets(topics.JOURNEYS)

    def is_counted() -> bool:
        with database.snapshot() as tx:
            stored = Positions(database).read(tx)
        return all(stored[topics.JOURNEYS, partition].next_offset == end for partition, end in ends.items())

    metrics = build_metrics(settings, database, bus, CollectorRegistry())
    metrics.start()
    assert Waiting().until(is_counted, 30)
    metrics.stop()


def _are_done(database: Database) -> bool:
    """Whether metrics has said what it removed, and journey has heard it; the nulls follow."""
    with database.snapshot() as tx:
        receipts = [Receipts(database).read(tx, one.id) for one in ERASURES]
        rooms = [Receipts(database).done(tx, one.id) for one in ERASURES]
    return all(rooms) and all(receipt is not None and receipt.nulls == receipt.months > 0 for receipt in receipts)


def _decide(bus: Bus, commands: Sequence[Command]) -> str:
    publisher = bus.publisher()
    records = [Outgoing(topics.COMMANDS, min(one.identities).encode(), msgspec.json.encode(one)) for one in commands]
    positions = publisher.publish(records).result(10)
    publisher.close()
    return tokens.encode((topics.COMMANDS, *position) for position in positions)


def _leave_unpublished(settings: Settings, database: Database) -> None:
    """A batch and an erasure that no relay has seen yet."""
    rules, read = fold_rules(settings), derivation(vocabulary.load(None))
    writer = writer_of(settings, database, prepare(database), rules, read)
    with database.transaction() as tx:
        commanding_of(database, writer).take(tx, [read_decision(msgspec.json.encode(erase(12 * DAY_US, "customer_id:z")))])
        writer.take(tx, [incoming(body(touchpoint("w1", 6 * DAY_US, "customer_id:w")))])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with worlds(folder, {room: sqlite_url(folder / f"{room}.db") for room in ROOMS}) as made:
        yield made


@pytest.fixture(scope="module")
def postgres_world(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    url = postgres.new_database()
    with worlds(tmp_path_factory.mktemp("world"), dict.fromkeys(ROOMS, url)) as made:
        yield made


@pytest.fixture(scope="module")
def heavy_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Of somebody whose month is too large for the bus."""
    folder = tmp_path_factory.mktemp("heavy")
    settings, wide = settings_of(folder), "\N{ELEPHANT}" * 190
    with closing(Database(sqlite_url(folder / "journey.db"), "journey")) as database:
        namespace, rules, read = prepare(database), fold_rules(settings), derivation(vocabulary.load(None))
        orders = [touchpoint(f"{n}", n, "customer_id:h", system=wide, source=wide, order=order(f"{wide}{n}")) for n in range(220)]
        with database.transaction() as tx:
            writer_of(settings, database, namespace, rules, read).take(tx, [incoming(body(one)) for one in orders])
        yield World(settings, {"journey": database}, None)


def every_column() -> list[str]:
    return [
        f"{room}.{table.name}.{column.name}"
        for room, metadata in ROOMS.items()
        for table in metadata.sorted_tables
        if f"{room}.{table.name}" != HEAVY
        for column in table.columns
    ]


def test_an_untouched_world_has_nothing_to_find(world: World) -> None:
    for room in ROOMS:
        found = world.check(room)
        assert found.examples == []
        assert found.mismatches == 0
        assert found.checked > 0


@pytest.mark.parametrize("place", every_column())
def test_a_wrong_value_is_found(world: World, place: str) -> None:
    _make_wrong_and_check(world, place)


@pytest.mark.parametrize(
    "place",
    ["journey.touchpoint.owner_id", "journey.person.state", "journey.month.facts", "metrics.rollup.v0", "metrics.fact.body"],
)
def test_a_wrong_value_is_found_on_postgresql(postgres_world: World, place: str) -> None:
    assert postgres_world.check(place.split(".")[0]).mismatches == 0
    _make_wrong_and_check(postgres_world, place)


@pytest.mark.parametrize("column", [column.name for column in journey_tables.TOO_LARGE.columns])
def test_a_wrong_size_of_a_month_is_found(heavy_world: World, column: str) -> None:
    _make_wrong_and_check(heavy_world, f"{HEAVY}.{column}")


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ("metrics.rollup.v0", "generation = 2"),
        ("metrics.rollup.dims", "generation = 2"),
        ("metrics.histogram.counts", "generation = 2"),
        ("metrics.fact_change.partition", GONE_AND_COUNTED),
        ("metrics.fact_change.sign", GONE_AND_COUNTED),
        ("metrics.fact_change.body", GONE_AND_COUNTED),
    ],
)
def test_a_wrong_value_of_a_generation_that_is_half_filled_is_found(world: World, place: str, where: str) -> None:
    _make_wrong_and_check(world, place, where)


def _make_wrong_and_check(world: World, place: str, where: str | None = None) -> None:
    room, name, column_name = place.split(".")
    reason = NOT_FOUND.get(place) or NOT_FOUND.get(f"{room}.{name}.*")
    table = ROOMS[room].tables[name]
    if reason is not None and not _rows(world, room, table, ""):
        return
    where = where or WHERE.get(place) or WHERE.get(f"{room}.{name}") or "true"
    rows = _rows(world, room, table, where)
    assert rows, f"the lives above leave no row in {name} where {where}"
    original = rows[-1]
    wrong = {**original, column_name: _wrong(table.c[column_name], original[column_name], place)}
    with _replaced(world, room, table, original, wrong):
        found = _found(world, room)
    assert found == (reason is None), reason or f"{place}: {original[column_name]!r} became {wrong[column_name]!r}"
    assert not _found(world, room), "it was put back"


def _found(world: World, room: str) -> bool:
    try:
        return world.check(room).mismatches > 0
    except Unavailable:
        return True


def _wrong(column: Column[Any], value: Any, place: str) -> object:
    if isinstance(column.type, LargeBinary):
        return b"\xff\x00 made wrong"
    if isinstance(value, bool) or str(column.type) == "BOOLEAN":
        return not value
    if isinstance(value, int) or (value is None and "INT" in str(column.type)):
        return (value or 0) - 1 if place in LOWER else (value or 0) + 1_003
    return f"{value or ''}x"


def _rows(world: World, room: str, table: Table, where: str) -> list[dict[str, Any]]:
    database = world.databases[room]
    key = ", ".join(column.name for column in table.primary_key)
    with database.snapshot() as tx:
        rows = database.execute(tx, f"SELECT * FROM {table.name} WHERE {where or 'true'} ORDER BY {key}")
    return [dict(row._mapping) for row in rows]


@contextmanager
def _replaced(world: World, room: str, table: Table, original: dict[str, Any], wrong: dict[str, Any]) -> Iterator[None]:
    _exchange(world.databases[room], table, original, wrong)
    try:
        yield
    finally:
        _exchange(world.databases[room], table, wrong, original)


def _exchange(database: Database, table: Table, old: dict[str, Any], new: dict[str, Any]) -> None:
    with database.transaction() as tx:
        same = [column == old[column.name] for column in table.primary_key]
        assert tx.execute(table.update().where(*same).values(**new)).rowcount == 1


# -- the topic --------------------------------------------------------------------------------------------------------------


def _record(value: bytes, kind: str) -> bytes | None:
    """A published month, made wrong."""
    month = msgspec.json.decode(value)
    if kind == "a wrong fact":
        month["facts"][0]["at_us"] += 1
    elif kind == "an old version":
        month["version"] -= 1
        month["facts"] = month["facts"][:1]
    elif kind == "gone":
        month = {"person_id": month["person_id"], "month": month["month"], "version": month["version"], "gone": True}
    elif kind == "a fact too few":
        month["facts"] = month["facts"][1:]
    elif kind == "somebody else's":
        month["identified"] = False
    return msgspec.json.encode(month)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("kind", ["a wrong fact", "an old version", "gone", "a fact too few", "somebody else's", "a missing key"])
def test_a_wrong_record_of_the_topic_is_found(world: World, room: str, kind: str) -> None:
    with closing(sqlite3.connect(world.settings.data / "bus.db", isolation_level=None)) as file:
        rows = file.execute("SELECT place, timestamp_ms, key, value FROM records WHERE compacted = 1 AND value IS NOT NULL")
        months = [row for row in rows.fetchall() if row[2] != WATERMARK_KEY and b'"gone"' not in row[3]]
        newest = {row[2]: row for row in sorted(months)}
        key, (place, at_ms, _, value) = max(newest.items(), key=lambda item: len(item[1][3]))
        earlier = [row for row in months if row[2] == key and row[0] != place]
        for row in earlier if kind == "a missing key" else []:
            file.execute("DELETE FROM records WHERE place = ?", (row[0],))
        if kind == "a missing key":
            file.execute("DELETE FROM records WHERE place = ?", (place,))
        else:
            file.execute("UPDATE records SET value = ? WHERE place = ?", (_record(value, kind), place))
        try:
            found = world.check(room)
        finally:
            put: Sequence[tuple[Any, ...]] = [(place, at_ms, key, value), *(earlier if kind == "a missing key" else [])]
            file.executemany(
                "INSERT OR REPLACE INTO records (place, compacted, timestamp_ms, key, value) VALUES (?, 1, ?, ?, ?)", put
            )
    assert found.mismatches > 0
    person_id, _, month = key.decode().rpartition("/")
    assert any(one["person_id"] == person_id and month in one["what"] for one in found.examples), found.examples
    assert not _found(world, room), "it was put back"


def test_rooms_of_the_world_hash_over_as_many_partitions(world: World) -> None:
    assert world.bus is not None
    assert world.bus.describe(topics.JOURNEYS).partitions == PARTITIONS
