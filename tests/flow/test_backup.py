"""Backups are made while touchpoints come, appear whole or not at all, and what is restored from them goes on exactly."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from schemas import tokens
from schemas.topics import TOUCHPOINTS
from services.cli.backups.making import back_up
from services.cli.backups.manifest import NAME, read
from services.cli.backups.unpacking import unpacked
from services.journey.main import begin_epoch
from services.journey.restoring import epoch_of
from services.journey.store.versions import EPOCH_BITS
from services.shared import backups
from services.shared.bus import Outgoing
from services.shared.bus.embedded import EmbeddedBus
from services.shared.clock import system_clock
from services.shared.db import Database, sqlite_url
from services.shared.errors import Misconfigured
from tests.builders import HOUR_US, body, touchpoint
from tests.flow.journey_room import PARTITIONS, running, settings_of
from tests.flow.journeys_topic import counted, fresh_like, published
from tests.parts.installation import KEYS, ask, check, requests_of, send_all, small_year
from tests.parts.needed import program
from tests.parts.postgres import Postgres
from tests.parts.processes import WAYPOST, Process, clean_environment

EVER = {"from": "2023-01-01", "to": "2026-01-01", "as_of": "2025-06-01T00:00:00Z"}
SETTINGS = {"WAYPOST_WRITE_KEYS": ",".join(f"{source}={key}" for source, key in KEYS.items()), "WAYPOST_PARTITIONS": "3"}


def up(data: Path, folder: Path) -> Process:
    return Process(data.name, ["up", "--data", str(data)], SETTINGS, folder)


def waypost(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), **settings, "COLUMNS": "200"}
    return subprocess.run([WAYPOST, *words], env=environment, capture_output=True, text=True, check=False, timeout=60)


def answers(process: Process, token: str) -> Any:
    """What people ask, but for ids that no two installations share."""
    stages = ask(process, "/v1/stages", EVER, token)["stages"]
    revenue = ask(process, "/v1/kpis/gross_revenue", {**EVER, "grain": "month"}, token)["rows"]
    journeys = ask(process, "/v1/journeys", {"limit": 1000}, token)["journeys"]
    return stages, revenue, sorted((one["started_at"], one["last_at"], one["furthest_stage"]) for one in journeys)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an installation that has lived and rests."""
    folder = tmp_path_factory.mktemp("lived")
    process = up(folder / "data", folder)
    process.start()
    try:
        token = send_all([process], requests_of(small_year(200), 50))
        answers(process, token)
    finally:
        process.stop()
    return folder / "data"


@pytest.fixture
def data(lived: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "data"))


def test_a_backup_under_way_stops_nobody_and_holds_what_was_acknowledged_before_it(tmp_path: Path) -> None:
    requests = requests_of(small_year(400, seed=7), 10)
    process, target = up(tmp_path / "data", tmp_path), tmp_path / "kept" / "backup"
    process.start()
    try:
        before = send_all([process], requests[:10])
        later = iter(requests[10:])
        sent_meanwhile: list[str] = []

        def step(done: int, total: int) -> None:
            """Between any two pieces copied something comes and is counted, everywhere."""
            if request := next(later, None):
                sent_meanwhile.append(send_all([process], [request]))
                answers(process, sent_meanwhile[-1])

        made = back_up(tmp_path / "data", target, epoch_of, system_clock, step)
        assert len(sent_meanwhile) >= 4
        token = send_all([process], list(later) or requests[-1:])
        expected = answers(process, ",".join([token, *sent_meanwhile]))
    finally:
        process.stop()

    done = waypost("restore", str(target), "--data", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert f"Epoch {made.epoch + 1}" in done.stdout
    assert " 0 mismatches" in done.stdout
    restored = up(tmp_path / "new", tmp_path)
    restored.start()
    try:
        answers(restored, before)
        assert check(restored, "metrics")[1:] == (0, [])
        assert answers(restored, send_all([restored], requests)) == expected
        assert check(restored, "journey")[1:] == (0, [])
        assert check(restored, "metrics")[1:] == (0, [])
    finally:
        restored.kill9()


# -- whole or not at all -------------------------------------------------------------------------------------------------------

_BLOCKED_AT = """
import sys
from pathlib import Path
from services.cli.backups import making
from services.journey.restoring import epoch_of
calls = 0
def step(done, total):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        print("blocked", flush=True)
        sys.stdin.read()
making.PAGES = 8
making.back_up(Path(sys.argv[1]), Path(sys.argv[2]), epoch_of, lambda: 0, step)
"""


@pytest.mark.parametrize("at", [1, 20])
def test_a_backup_that_is_killed_is_no_backup_and_the_next_one_takes_its_place(at: int, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    command = [sys.executable, "-c", _BLOCKED_AT, str(data), str(target), str(at)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "blocked\n"
        process.send_signal(signal.SIGKILL)
    (unfinished,) = tmp_path.glob(".*unfinished")
    assert not target.exists()
    for folder in (target, unfinished):
        with pytest.raises(Misconfigured, match="no finished backup"), unpacked(folder, tmp_path / "new"):
            pass
        assert not (tmp_path / "new").exists()
    back_up(data, target, epoch_of, system_clock, lambda done, total: None)
    assert not unfinished.exists()
    assert len(read(target).files) >= 4


def test_a_backup_that_fails_leaves_nothing_but_its_mention(data: Path, tmp_path: Path) -> None:
    def step(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(data, tmp_path / "backup", epoch_of, system_clock, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    assert [one.place for one in backups.made(data)] == [str(tmp_path / "backup")]


def test_backups_are_remembered_where_they_were_made_and_where_they_are_restored(data: Path, tmp_path: Path) -> None:
    assert backups.made(data) == []
    for name in ("one", "two"):
        back_up(data, tmp_path / name, epoch_of, system_clock, lambda done, total: None)
    one, two = backups.made(data)
    assert [one.place, two.place] == [str(tmp_path / "one"), str(tmp_path / "two")]
    assert (one.id, one.made_at) == (read(tmp_path / "one").id, read(tmp_path / "one").made_at)
    with unpacked(tmp_path / "two", tmp_path / "new"):
        pass
    assert backups.made(tmp_path / "new") == [one, two]


def test_only_one_backup_is_made_at_a_time(data: Path, tmp_path: Path) -> None:
    with backups.one_at_a_time(data):
        done = waypost("backup", str(tmp_path / "backup"), "--data", str(data))
    assert (done.returncode, "another backup" in done.stderr) == (1, True)
    done = waypost("backup", str(tmp_path / "backup"), "--data", str(data))
    assert (done.returncode, read(tmp_path / "backup").made_at in done.stdout) == (0, True)


def test_what_is_there_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="is there already"):
        back_up(data, data, epoch_of, system_clock, lambda done, total: None)
    back_up(data, tmp_path / "backup", epoch_of, system_clock, lambda done, total: None)
    done = waypost("restore", str(tmp_path / "backup"), "--data", str(data))
    assert (done.returncode, "is there already" in done.stderr) == (2, True)


def test_a_backup_that_was_changed_is_not_restored(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    made = back_up(data, target, epoch_of, system_clock, lambda done, total: None)
    for file in made.files:
        path = target / file.name
        kept = path.read_bytes()
        changed = bytearray(kept)
        changed[len(kept) // 2] ^= 1
        path.write_bytes(changed)
        with pytest.raises(Misconfigured, match="not as it was made"), unpacked(target, tmp_path / "new"):
            pass
        path.unlink()
        with pytest.raises(Misconfigured, match="cannot be read"), unpacked(target, tmp_path / "new"):
            pass
        path.write_bytes(kept)
    text = (target / NAME).read_text()
    (target / NAME).write_text(text.replace('"bus.db"', '"../bus.db"'))
    with pytest.raises(Misconfigured, match="outside of the backup"), unpacked(target, tmp_path / "new"):
        pass
    (target / NAME).write_text(text)
    with unpacked(target, tmp_path / "new"):
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new").exists()


# -- the topic is ahead of the tables ------------------------------------------------------------------------------------------


def dumped(database: Database, folder: Path) -> Path:
    """The database as its own tools keep it."""
    if not database.is_postgres:
        with closing(database.engine.raw_connection()) as connection:
            connection.cursor().execute(f"VACUUM INTO '{folder / 'dump.db'}'")
        return folder / "dump.db"
    done = [program("pg_dump", "postgresql-client"), "--file", str(folder / "dump.sql"), plain(database.url)]
    subprocess.run(done, check=True)
    return folder / "dump.sql"


def loaded(dump: Path, request: pytest.FixtureRequest) -> Database:
    if dump.suffix == ".db":
        return Database(sqlite_url(dump))
    server: Postgres = request.getfixturevalue("postgres")
    url = server.new_database()
    words = ["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(dump), plain(url)]
    subprocess.run([program("psql", "postgresql-client"), *words], check=True, stdout=subprocess.DEVNULL)
    return Database(url, schema="journey")


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(False)


def test_what_readers_know_and_the_restored_tables_do_not_is_taken_back(
    tmp_path: Path, database: Database, request: pytest.FixtureRequest
) -> None:
    """After the backup an anonymous visitor becomes a person, is published, and signs in; the restored room sees both at once."""
    settings = settings_of(tmp_path)
    known, visit, again, signed_in = (
        touchpoint("1", 0, "customer_id:c"),
        touchpoint("2", HOUR_US, "anonymous_id:a"),
        touchpoint("3", 2 * HOUR_US, "customer_id:c"),
        touchpoint("4", 3 * HOUR_US, "anonymous_id:a", "customer_id:c"),
    )
    with running(settings, database) as room:
        room.post(known)
        room.person("customer_id:c")
    dump = dumped(database, tmp_path)
    with running(settings, database) as room:
        room.post(visit, again)
        visitor = room.person("anonymous_id:a")["person_id"]
    with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
        records = [Outgoing(TOUCHPOINTS, b"a", body(signed_in), 0)]
        positions = bus.publisher().publish(records).result(10)
    with closing(loaded(dump, request)) as restored:
        if restored.is_postgres:
            environment = {
                "WAYPOST_DATA": str(tmp_path),
                "WAYPOST_DATABASE": plain(restored.url),
                "WAYPOST_PARTITIONS": str(PARTITIONS),
            }
            done = waypost("restore", "--database", **environment)
            assert done.returncode == 0, done.stderr
            assert "Epoch 2: 1 months are published again, 1 as gone" in done.stdout
        else:
            with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
                assert begin_epoch(restored, bus, lambda done: None) == (2, 1, 1)
                assert begin_epoch(restored, bus, lambda done: None).epoch == 3
        with running(settings, restored) as room:
            room.token = tokens.encode((TOUCHPOINTS, position.partition, position.offset) for position in positions)
            room.person("anonymous_id:a")
    after = published(tmp_path)
    assert after[visitor, "2026-01"].gone
    assert all(month.version >> EPOCH_BITS >= 2 for month in after.values())
    fresh = Path(tempfile.mkdtemp(dir=tmp_path))
    with fresh_like(database, fresh, settings) as room:
        room.post(known, visit, again, signed_in)
        assert room.person("customer_id:c")["touchpoints"] == 4
    assert counted(after) == counted(published(fresh))
