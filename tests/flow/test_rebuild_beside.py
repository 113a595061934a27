"""Journeys are made anew beside the running room: killed, resumed, with everything that comes meanwhile, as if it had always been so."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import tokens
from schemas.commands import Action, Command
from schemas.times import format_time
from schemas.topics import COMMANDS, TOUCHPOINTS
from schemas.touchpoint import Accepted
from services.journey import rebuilding
from services.journey.main import rebuild
from services.journey.rebuilding import CATCHING_UP, STITCHING, SWITCHING
from services.journey.store.clocks import Clocks
from services.journey.store.switching import KEPT
from services.journey.store.tables import METADATA
from services.shared.bus import Outgoing, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import Settings
from services.shared.db import Database
from services.shared.errors import Unavailable
from tests.builders import DAY_US, HOUR_US, START_US, case, order, touchpoint
from tests.flow.journey_room import PARTITIONS, Journey, running, settings_of
from tests.flow.journeys_topic import counted, fresh_like, published

NAMES = ("customer_id:c", "customer_id:d", "customer_id:e", "anonymous_id:a", "device_id:x", "anonymous_id:later")
VOCABULARY = '{"types": {"hinted": {"stage": "consideration"}}}'
Step = Callable[[int, int | None, str], None]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "BATCH", 2)
    monkeypatch.setattr(rebuilding, "NEARLY", 0)


@pytest.fixture
def changed(tmp_path: Path) -> Settings:
    """Other settings: a vocabulary, a time zone in which February begins later, a shorter timeout, fewer customers to a handle."""
    (tmp_path / "vocabulary.json").write_text(VOCABULARY)
    new = {"time_zone": "America/New_York", "journey_timeout_days": 20, "shared_handle_customers": 2}
    return settings_of(tmp_path, vocabulary=tmp_path / "vocabulary.json").model_copy(update=new)


def some_lives() -> list[Accepted]:
    """An anonymous visitor who signs in, a shared device, a case of two people, a touchpoint that came twice, a night in two months."""
    return [
        touchpoint("1", 0, "anonymous_id:a"),
        touchpoint("2", HOUR_US, "anonymous_id:a", "customer_id:c", type="hinted"),
        touchpoint("3", 2 * HOUR_US, "customer_id:c", order=order("o"), case=case("k", "opened")),
        touchpoint("4", 3 * HOUR_US, "customer_id:d", "device_id:x", case=case("k", "resolved")),
        touchpoint("5", DAY_US, "device_id:x", type="hinted"),
        touchpoint("6", 2 * DAY_US, "customer_id:c", "device_id:x"),
        touchpoint("5", DAY_US, "device_id:x", "customer_id:e", received_us=3 * DAY_US, type="hinted"),
        touchpoint("7", 21 * DAY_US + 13 * HOUR_US, "customer_id:c"),
        touchpoint("8", 50 * DAY_US, "customer_id:d"),
        touchpoint("20", 5 * DAY_US, "customer_id:g", "email:g@h.example"),
        touchpoint("21", 6 * DAY_US, "customer_id:h", "email:g@h.example"),
        touchpoint("22", 7 * DAY_US, "email:g@h.example"),
    ]


def meanwhile() -> list[Accepted]:
    """Late ones, a new visitor who signs in as somebody known, somebody quite new, an older copy, another user of the device."""
    return [
        touchpoint("9", HOUR_US, "anonymous_id:later", type="hinted"),
        touchpoint("10", 30 * HOUR_US, "device_id:x"),
        touchpoint("11", 3 * HOUR_US, "anonymous_id:later", "customer_id:d"),
        touchpoint("12", 4 * HOUR_US, "customer_id:f", order=order("o2")),
        touchpoint("1", 0, "anonymous_id:a", received_us=-HOUR_US),
        touchpoint("13", 3 * DAY_US, "customer_id:e", "device_id:x"),
        touchpoint("14", 5 * HOUR_US, case=case("k", "reopened")),
        touchpoint("23", 4 * DAY_US, "customer_id:g"),
        touchpoint("24", 65 * DAY_US, "email:g@h.example"),
    ]


def decisions() -> list[Command]:
    """Two customers are one, and were not after all; a handle that never was theirs; an anonymous visitor is somebody; two are erased."""
    about: list[tuple[Action, list[str]]] = [
        ("link", ["customer_id:d", "customer_id:e"]),
        ("link", ["customer_id:e", "customer_id:f"]),
        ("erase", ["customer_id:g"]),
        ("unlink", ["customer_id:c", "device_id:x"]),
        ("unlink", ["customer_id:e", "customer_id:f"]),
        ("link", ["anonymous_id:later", "customer_id:e"]),
        ("erase", ["customer_id:h"]),
    ]
    return [
        Command(id=str(n), action=action, identities=named, by="ann", at=format_time(START_US + 60 * DAY_US + n * HOUR_US))
        for n, (action, named) in enumerate(about)
    ]


def decide(room: Journey, *commands: Command) -> None:
    """Publish commands; every later question waits until they are applied."""
    with closing(room.bus.publisher()) as publisher:
        records = [Outgoing(COMMANDS, one.identities[0].encode(), msgspec.json.encode(one)) for one in commands]
        positions = publisher.publish(records).result(10)
    token = tokens.encode((COMMANDS, *position) for position in positions)
    room.token = ",".join(filter(None, (room.token, token)))


def known(room: Journey) -> list[Any]:
    """What everybody looks like, but for versions."""
    people = [room.ask(f"/v1/persons/{name}", {}).json() for name in NAMES]
    return [{key: value for key, value in person.items() if key != "version"} for person in people]


def check_equals_a_fresh_one(
    folder: Path, database: Database, settings: Settings, sent: list[Accepted], decided: Sequence[Command] = (), token: str = ""
) -> None:
    with running(settings, database) as room:
        room.token = token
        after = known(room)
        assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0
    (folder / "fresh").mkdir()
    with fresh_like(database, folder / "fresh", settings) as room:
        room.post(*sent)
        if decided:
            decide(room, *decided)
        assert known(room) == after
    assert counted(published(folder)) == counted(published(folder / "fresh"))


def test_what_comes_meanwhile_is_in_it_and_questions_are_answered_throughout(
    tmp_path: Path, database: Database, changed: Settings, small_batches: None
) -> None:
    coming, deciding = iter(meanwhile()), iter(decisions()[3:])
    seen = []
    with running(settings_of(tmp_path), database) as room:
        room.post(*some_lives())
        decide(room, *decisions()[:3])
        before = room.person("customer_id:c")["touchpoints"]

        def step(done: int, total: int | None, doing: str) -> None:
            if one := next(coming, None):
                room.post(one)
            if decision := next(deciding, None):
                decide(room, decision)
            seen.append((doing, room.person("customer_id:c")["touchpoints"]))

        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            rebuild(changed, database, bus, step)
        assert (next(coming, None), next(deciding, None)) == (None, None)
        assert {doing for doing, _ in seen} == {STITCHING, CATCHING_UP, SWITCHING}
        assert seen[0][1] == before
    check_equals_a_fresh_one(tmp_path, database, changed, [*some_lives(), *meanwhile()], decisions())


def test_a_process_of_the_same_settings_goes_on_and_nothing_is_published_again(
    tmp_path: Path, database: Database, small_batches: None
) -> None:
    settings, told = settings_of(tmp_path), []
    with running(settings, database) as room:
        room.post(*some_lives())
        before = [room.ask(f"/v1/persons/{name}", {}).json() for name in NAMES]
        room.post(meanwhile()[0])
        room.person("customer_id:d")
        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            rebuild(settings, database, bus, lambda done, total, doing: told.append((done, doing)))
        assert told[-1] == (0, SWITCHING)
        assert [room.ask(f"/v1/persons/{name}", {}).json() for name in NAMES[:5]] == before[:5]
        room.post(*meanwhile()[1:])
        assert known(room)
        assert setting_check(room) == "ok"
    check_equals_a_fresh_one(tmp_path, database, settings, [*some_lives(), *meanwhile()])


def test_versions_never_go_back(tmp_path: Path, database: Database, changed: Settings) -> None:
    versions: list[int] = []
    for settings in (settings_of(tmp_path), changed, settings_of(tmp_path)):
        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            if versions:
                rebuild(settings, database, bus, lambda done, total, doing: None)
        with running(settings, database) as room:
            room.post(*some_lives())
            versions.append(room.person("customer_id:c")["version"])
    assert versions == sorted(set(versions))
    assert [version >> 40 for version in versions] == [1, 2, 3]


def test_of_every_table_it_is_decided_whether_a_rebuild_makes_it_anew() -> None:
    """A new table is filled by taking touchpoints and commands again, or it is among those that stay; say which."""
    made_anew = {
        "position",
        "identity",
        "identity_set",
        "membership",
        "standing",
        "touchpoint",
        "clock_day",
        "person",
        "month",
        "journey",
    }
    made_anew |= {"service_case", "command", "mention", "ghost", "too_large", "released"}
    assert METADATA.tables.keys() == made_anew | KEPT
    assert not made_anew & KEPT


# -- interrupted ---------------------------------------------------------------------------------------------------------------

_BLOCKED_AT = """
import sys
from pathlib import Path
from services.journey import rebuilding
from services.journey.main import rebuild
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import load
from services.shared.db import Database
rebuilding.BATCH, rebuilding.NEARLY = 2, 0
calls = 0
def step(done, total, doing):
    global calls
    calls += 1
    print(done, doing, flush=True)
    if calls == int(sys.argv[4]):
        print("blocked", flush=True)
        sys.stdin.read()
folder = Path(sys.argv[1])
settings = load(data=folder, partitions=4, shared_handle_customers=2, vocabulary=folder / "vocabulary.json",
                time_zone="America/New_York", journey_timeout_days=20)
rebuild(settings, Database(sys.argv[2], sys.argv[3]), EmbeddedBus(folder / "bus.db"), step)
"""


def killed_at(folder: Path, database: Database, calls: int) -> list[str]:
    """Kill a rebuild with the changed settings when it tells of its progress for the n-th time; what it told."""
    words = [sys.executable, "-c", _BLOCKED_AT, str(folder), database.url, database.schema, str(calls)]
    said: list[str] = []
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "blocked\n":
                process.send_signal(signal.SIGKILL)
                break
            said.append(line.strip())
        assert process.wait(30) == -signal.SIGKILL
    return said


def test_whatever_is_killed_goes_on_where_it_was(
    tmp_path: Path, database: Database, changed: Settings, small_batches: None
) -> None:
    coming, told = meanwhile(), []
    with running(settings_of(tmp_path), database) as room:
        room.post(*some_lives())
        decide(room, *decisions()[:3])
        before = known(room)
        left_at(tmp_path, database, changed, 3)
        assert known(room) == before
        room.post(*coming[:4])
        decide(room, *decisions()[3:])
        before = known(room)
        left_at(tmp_path, database, changed, 2)
        assert killed_at(tmp_path, database, 5)[0] == f"6 {STITCHING}"
        assert known(room) == before
        room.post(*coming[4:])
        known(room)
        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            rebuild(changed, database, bus, lambda done, total, doing: told.append((done, doing)))
    assert told[0] == (13, STITCHING)
    check_equals_a_fresh_one(tmp_path, database, changed, [*some_lives(), *coming], decisions())


def left_at(folder: Path, database: Database, settings: Settings, calls: int) -> None:
    """Ctrl-C when it tells of its progress for the n-th time."""
    told: list[int] = []

    def step(done: int, total: int | None, doing: str) -> None:
        told.append(done)
        if len(told) == calls:
            raise KeyboardInterrupt

    with closing(EmbeddedBus(folder / "bus.db")) as bus, pytest.raises(KeyboardInterrupt):
        rebuild(settings, database, bus, step)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_rebuild_with_other_settings_begins_anew(
    tmp_path: Path, database: Database, changed: Settings, small_batches: None
) -> None:
    told: list[tuple[int, str]] = []
    with running(settings_of(tmp_path), database) as room:
        room.post(*some_lives())
        known(room)
        left_at(tmp_path, database, changed, 4)
        other = changed.model_copy(update={"journey_timeout_days": 30})
        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            rebuild(other, database, bus, lambda done, total, doing: told.append((done, doing)))
    assert told[0] == (0, STITCHING)
    check_equals_a_fresh_one(tmp_path, database, other, some_lives())


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_rebuild_that_was_left_for_so_long_that_the_bus_has_forgotten_begins_anew(
    tmp_path: Path, database: Database, changed: Settings, small_batches: None
) -> None:
    with closing(EmbeddedBus(tmp_path / "bus.db", clock=lambda: 0)) as bus:
        bus.create([TopicSpec(TOUCHPOINTS, PARTITIONS, retention_s=100)])
    with running(settings_of(tmp_path), database) as room:
        room.post(*some_lives())
        known(room)
        left_at(tmp_path, database, changed, 4)
        room.post(*meanwhile())
        known(room)
    with closing(EmbeddedBus(tmp_path / "bus.db", clock=lambda: 2**60)) as bus:
        bus.keep_house()
        assert any(bus.begin_offsets(TOUCHPOINTS).values())
        rebuild(changed, database, bus, lambda done, total, doing: None)
    check_equals_a_fresh_one(tmp_path, database, changed, [*some_lives(), *meanwhile()])


def test_only_one_process_rebuilds(tmp_path: Path, database: Database) -> None:
    settings = settings_of(tmp_path)

    def step(done: int, total: int | None, doing: str) -> None:
        if doing == STITCHING:
            with pytest.raises(Unavailable, match="another process"):
                rebuild(settings, database, bus, lambda done, total, doing: None)

    with running(settings, database) as room:
        room.post(*some_lives())
        known(room)
        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            rebuild(settings, database, bus, step)


def test_the_clock_of_a_source_with_the_name_of_the_schema_is_free_meanwhile(tmp_path: Path, database: Database) -> None:
    taken = []

    def step(done: int, total: int | None, doing: str) -> None:
        with database.transaction() as tx:
            if database.is_postgres:
                tx.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
            Clocks(database).lock(tx, {"journey"}, alone={"journey"})
        taken.append(doing)

    with running(settings_of(tmp_path), database) as room:
        rebuild(settings_of(tmp_path), database, room.bus, step)
    assert STITCHING in taken


# -- whose settings ------------------------------------------------------------------------------------------------------------


def setting_check(room: Journey) -> str:
    return str(room.ask("/health/ready", {}).json()["checks"]["journey settings"])


def test_a_process_with_other_settings_writes_nothing_until_a_rebuild_and_then_goes_on(
    tmp_path: Path, database: Database, changed: Settings
) -> None:
    first, *others = some_lives()
    with running(settings_of(tmp_path), database) as room:
        room.post(first)
        assert room.person("anonymous_id:a")["touchpoints"] == 1
    with running(changed, database) as room:
        room.post(*others)
        answer = room.ask("/health/ready", {})
        assert answer.status_code == 503
        assert "waypost rebuild journey" in setting_check(room)
        with database.snapshot() as tx:
            assert database.execute(tx, "SELECT count(*) FROM touchpoint") == [(1,)]
        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            rebuild(changed, database, bus, lambda done, total, doing: None)
        assert room.person("customer_id:c")["touchpoints"] == 5
        assert setting_check(room) == "ok"
    check_equals_a_fresh_one(tmp_path, database, changed, some_lives())


def test_a_process_whose_settings_were_replaced_under_it_stops_writing(
    tmp_path: Path, database: Database, changed: Settings
) -> None:
    first, *others = some_lives()
    with running(settings_of(tmp_path), database) as room:
        room.post(first)
        room.person("anonymous_id:a")
        with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
            rebuild(changed, database, bus, lambda done, total, doing: None)
        room.post(*others)
        assert "waypost rebuild journey" in setting_check(room)
        token = room.token
    check_equals_a_fresh_one(tmp_path, database, changed, some_lives(), token=token)
