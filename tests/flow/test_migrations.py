"""Databases grow up: made by migrations alone, from nothing or from what the spine left, by whichever process comes first."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from services.cli.client import Service
from services.shared.bus.embedded import EmbeddedBus
from services.shared.db import Database, sqlite_url
from services.shared.errors import Misconfigured
from services.shared.migrating import migrate, revision
from tests.migration import ROOMS, differences
from tests.parts.catalogue import described
from tests.parts.installation import KEYS, check
from tests.parts.postgres import Postgres
from tests.parts.processes import WAYPOST, Ended, Process, clean_environment
from tests.spine.make import HERE, RANGE

Open = Callable[[str], Database]


@pytest.fixture(params=["sqlite", "postgres"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(form: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens further connections to a room's database, of which each name has one."""
    databases: list[Database] = []
    servers: dict[str, str] = {}

    def open_one(name: str) -> Database:
        if form == "sqlite":
            databases.append(Database(sqlite_url(tmp_path / f"{name}.db")))
        else:
            server: Postgres = request.getfixturevalue("postgres")
            url = servers.setdefault(name, server.new_database())
            databases.append(Database(url, schema="room"))
        return databases[-1]

    yield open_one
    for database in databases:
        database.close()


@pytest.mark.parametrize("room", ROOMS)
def test_migrations_lead_to_the_tables_that_the_code_declares(room: str, opened: Open) -> None:
    history, metadata = ROOMS[room]
    migrated, declared = opened("migrated"), opened("declared")
    migrate(migrated, history)
    with declared.preparing() as tx:
        metadata.create_all(tx)
    assert differences(migrated, metadata).as_diffs() == [], f"write a migration: make migration ROOM={room} NAME=…"
    assert described(migrated) == described(declared)


@pytest.mark.parametrize("room", ROOMS)
def test_a_forgotten_migration_is_noticed(room: str, opened: Open) -> None:
    history, metadata = ROOMS[room]
    database = opened("migrated")
    migrate(database, history)
    with database.preparing() as tx:
        tx.exec_driver_sql(f"ALTER TABLE {history.first_table} ADD COLUMN forgotten INTEGER")
    assert [change[0] for change in differences(database, metadata).as_diffs()] == ["remove_column"]
    declared = opened("declared")
    with declared.preparing() as tx:
        metadata.create_all(tx)
    assert described(database) != described(declared)


@pytest.mark.parametrize("room", ROOMS)
def test_a_history_is_one_line_in_the_order_of_its_files(room: str) -> None:
    history, _ = ROOMS[room]
    script = ScriptDirectory(str(history.folder), version_locations=[str(history.folder)])
    assert [step.revision for step in script.walk_revisions()][::-1] == list(history.revisions())


@pytest.mark.parametrize("room", ROOMS)
def test_of_several_processes_that_start_at_once_one_migrates(room: str, opened: Open) -> None:
    history, _ = ROOMS[room]
    databases = [opened("one") for _ in range(4)]
    together = Barrier(len(databases))

    def start(database: Database) -> None:
        together.wait()
        migrate(database, history)

    with ThreadPoolExecutor(len(databases)) as threads:
        list(threads.map(start, databases))
    assert {revision(database) for database in databases} == {history.revisions()[-1]}


def test_a_database_of_a_newer_version_is_refused_and_left_alone(opened: Open) -> None:
    history, _ = ROOMS["journey"]
    database = opened("one")
    migrate(database, history)
    with database.transaction() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = described(database)
    with pytest.raises(Misconfigured, match=r"journey was made by a newer version .* those of 9999"):
        migrate(database, history)
    assert described(database) == before
    assert revision(database) == "9999"


def test_a_bus_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    EmbeddedBus(tmp_path / "bus.db").close()
    with closing(sqlite3.connect(tmp_path / "bus.db")) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {number + 1}")
    with pytest.raises(Misconfigured, match="newer version"):
        EmbeddedBus(tmp_path / "bus.db")


# -- what the spine left -------------------------------------------------------------------------------------------------------


@pytest.fixture
def spine(form: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    """An installation that the spine has made and this version goes on with."""
    data = tmp_path / "data"
    data.mkdir()
    for dump in (HERE / form).glob("*.sql"):
        if dump.stem != "database":
            with closing(sqlite3.connect(data / f"{dump.stem}.db")) as connection:
                connection.executescript(dump.read_text())
    database = "embedded"
    if form == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        database = server.new_database()
        with psycopg.connect(make_url(database).set(drivername="postgresql").render_as_string(False)) as connection:
            connection.execute((HERE / form / "database.sql").read_bytes())
    keys = ",".join(f"{source}={key}" for source, key in KEYS.items())
    settings = {"WAYPOST_WRITE_KEYS": keys, "WAYPOST_PARTITIONS": "2", "WAYPOST_DATABASE": database, "WAYPOST_DATA": str(data)}
    process = Process("up", ["up"], settings, tmp_path)
    with started_as_told(process, settings):
        yield process


@contextmanager
def started_as_told(process: Process, settings: dict[str, str]) -> Iterator[None]:
    """Start it; where it wants a rebuild first, because it derives or counts in another way, do what it says."""
    try:
        while command := refusal(process):
            subprocess.run([WAYPOST, *command.split()], env={**clean_environment(), **settings}, check=True, timeout=60)
        yield
    finally:
        process.kill9()


def refusal(process: Process) -> str | None:
    """Start it unless it runs; the command that it names if it does not start, or is not ready."""
    try:
        if not process.is_running:
            process.start()
        with urlopen(f"{process.url}/health/ready", timeout=10) as answer:
            return None if answer.status == 200 else str(answer.status)
    except Ended as error:
        said = str(error)
    except HTTPError as error:
        said = error.read().decode()
    (command,) = set(re.findall(r"`waypost (rebuild \w+)`", said))
    return str(command)


def test_what_the_spine_left_is_upgraded_and_goes_on(spine: Process) -> None:
    before = json.loads((HERE / "answers.json").read_text())
    with closing(spine.service()) as service:
        nothing = {"identities": ["customer_id:nobody", "email:nobody@mail.example"], "reason": "to wait for", "by": "nobody"}
        token = service.post("/v1/identities/unlink", nothing)["token"]
        assert answers(service, token) == before
        bought = {
            "id": "after-the-upgrade",
            "type": "order_completed",
            "occurred_at": "2024-12-30T10:00:00Z",
            "identities": {"customer_id": "c-000002"},
            "order": {"order_id": "o-after", "amount": "10.00", "currency": "EUR"},
        }
        came = {"type": "page_viewed", "occurred_at": "2024-12-31T10:00:00Z", "identities": {"anonymous_id": "somebody-new"}}
        receipt = service.send(
            KEYS["shop"], [json.dumps(bought).encode(), json.dumps(bought).encode(), json.dumps(came).encode()]
        )
        after = answers(service, receipt.token)
    assert after["revenue"][0]["value"] == pytest.approx(before["revenue"][0]["value"] + 10)
    assert after["revenue"][0]["n"] == before["revenue"][0]["n"] + 1
    assert after["journeys"] >= before["journeys"] + 1
    assert after["stages"][0]["reached"] >= before["stages"][0]["reached"] + 1
    assert check(spine, "journey")[1:] == (0, [])
    assert check(spine, "metrics")[1:] == (0, [])


def answers(service: Service, token: str) -> Any:
    """The same that `tests/spine/make.py` has kept."""
    return {
        "stages": service.get("/v1/stages", RANGE, token)["stages"],
        "revenue": service.get("/v1/kpis/gross_revenue", {**RANGE, "grain": "none"}, token)["rows"],
        "journeys": len(service.get("/v1/journeys", {"limit": 1000}, token)["journeys"]),
    }
