"""`waypost rebuild metrics` beside running processes: KPIs stay readable and right, and whoever is killed is gone on from."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Lock

import pytest

from schemas.topics import JOURNEYS
from services.metrics.store import filling, generations
from services.metrics.store.rebuilding import Rebuilding, rebuild
from services.shared.bus import Bus, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.db import Database, sqlite_url
from services.shared.positions import bounds_of
from tests.flow.test_metrics_room import PARTITIONS, YEAR, Room, journey_facts, month, running
from tests.parts.installation import Installation, ask, check, embedded, requests_of, send_all, small_year
from tests.parts.postgres import Postgres
from tests.parts.processes import WAYPOST, clean_environment

PEOPLE = 250


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "metrics.sqlite")
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(EmbeddedBus(tmp_path / "bus.sqlite")) as made:
        made.create([TopicSpec(JOURNEYS, PARTITIONS, compacted=True), TopicSpec("touchpoints.rejected", PARTITIONS)])
        yield made


def two_rooms(stack: ExitStack, bus: Bus, url: str, time_zone: str = "UTC") -> Room:
    """Two processes' worth of metrics that share the partitions; the first is asked."""
    databases = [stack.enter_context(closing(Database(url, "metrics"))) for _ in range(2)]
    first, _ = (running(stack, bus, database, time_zone) for database in databases)
    return first


def orders_and_live(room: Room, database: Database, token: str) -> tuple[int, int]:
    """The number of orders in the answer, and of the live generation."""
    rows = room.get(f"/v1/kpis/orders?{YEAR}", token)["rows"]
    with database.snapshot() as tx:
        live = generations.live(database, tx)
    assert live is not None
    return rows[0]["value"], live.number


def test_records_that_come_meanwhile_count_once_and_answers_stay_right(bus: Bus, url: str) -> None:
    """At every step of the rebuild people buy, change their minds, and vanish; two rebuilds run at once."""
    people = [f"p{n}" for n in range(PEOPLE)]
    with ExitStack() as stack:
        room = two_rooms(stack, bus, url)
        database = stack.enter_context(closing(Database(url, "metrics")))
        room.count(*(month(1, *journey_facts(), person_id=person) for person in people))
        bought, version, one_at_a_time = PEOPLE, 1, Lock()

        def meanwhile(done: int, total: int | None, doing: str) -> None:
            nonlocal bought, version
            with one_at_a_time:
                version += 2
                some = people[version % 12 :: 12]
                token = room.publish(*(month(version, gone=True, person_id=person) for person in some))
                bought -= len(some)
                assert orders_and_live(room, database, token)[0] == bought
                back = room.publish(*(month(version + 1, *journey_facts(), person_id=person) for person in some))
                bought += len(some)
                assert orders_and_live(room, database, back)[0] == bought

        topic = bus.describe(JOURNEYS)
        with closing(Database(url, "metrics")) as second, ThreadPoolExecutor(1) as other:
            running_too = other.submit(rebuild, second, topic, "UTC", meanwhile)
            rebuild(database, topic, "UTC", meanwhile)
            running_too.result(60)
        assert version > 10
        orders, live = orders_and_live(room, database, room.publish())
        assert orders == bought
        assert live in (2, 3), "one that begins when the other has finished fills a generation of its own"
        assert room.get("/v1/check/metrics")["mismatches"] == 0
        with database.snapshot() as tx:
            assert generations.retired(database, tx) == []


def test_old_processes_answer_until_the_switch_and_then_say_what_to_do(bus: Bus, url: str) -> None:
    with ExitStack() as stack:
        room = two_rooms(stack, bus, url)
        database = stack.enter_context(closing(Database(url, "metrics")))
        room.count(*(month(1, *journey_facts(), person_id=f"p{n}") for n in range(PEOPLE)))
        seen = []

        def meanwhile(done: int, total: int | None, doing: str) -> None:
            answer = room.client.get(f"/v1/kpis/orders?{YEAR}")
            seen.append((answer.status_code, answer.json().get("code")))

        rebuild(database, bus.describe(JOURNEYS), "Asia/Tokyo", meanwhile)
        assert set(seen[:4]) == {(200, None)}
        refused = room.client.get(f"/v1/kpis/orders?{YEAR}")
        assert refused.status_code == 503
        assert "waypost rebuild metrics" in refused.json()["message"]
        room.publish(month(2, person_id="p1", gone=True))
    with ExitStack() as stack:
        room = two_rooms(stack, bus, url, "Asia/Tokyo")
        room._passed = 2
        assert room.get(f"/v1/kpis/orders?{YEAR}", room.publish())["rows"][0]["value"] == PEOPLE - 1
        assert room.get("/v1/check/metrics")["mismatches"] == 0


def test_what_is_counted_before_a_rebuild_looks_is_not_taken_for_lost(bus: Bus, url: str) -> None:
    """What the topic has is asked for when positions stand still: asked for earlier, they could lie beyond its end by now."""
    with ExitStack() as stack:
        room = two_rooms(stack, bus, url)
        database = stack.enter_context(closing(Database(url, "metrics")))
        room.count(*(month(1, *journey_facts(), person_id=f"p{n}") for n in range(5)))
        rebuilding = Rebuilding(database, bus.describe(JOURNEYS), "UTC", bounds=lambda: bounds_of(bus, JOURNEYS))
        token = room.publish(*(month(1, *journey_facts(), person_id=f"p{n}") for n in range(5, 9)))
        assert orders_and_live(room, database, token)[0] == 9
        assert [step.doing for step in rebuilding.steps()]
        assert rebuilding.facts > 0, "nothing was forgotten"
        assert orders_and_live(room, database, token)[0] == 9


def test_a_topic_that_was_made_again_is_read_from_its_start(bus: Bus, url: str) -> None:
    with ExitStack() as stack:
        room = two_rooms(stack, bus, url)
        room.count(*(month(1, *journey_facts(), person_id=f"p{n}") for n in range(5)))
    bus.delete(JOURNEYS)
    bus.create([TopicSpec(JOURNEYS, PARTITIONS, compacted=True)])
    with closing(Database(url, "metrics")) as database:
        rebuild(database, bus.describe(JOURNEYS), "UTC", lambda done, total, doing: None)
        with database.snapshot() as tx:
            assert generations.retired(database, tx) == []
    with ExitStack() as stack:
        room = two_rooms(stack, bus, url)
        token = room.publish(*(month(1, *journey_facts(), person_id=f"p{n}") for n in range(3)))
        assert room.get(f"/v1/kpis/orders?{YEAR}", token)["rows"][0]["value"] == 3
        assert room.get("/v1/check/metrics")["mismatches"] == 0


def test_a_rebuild_beside_waypost_up_is_killed_and_gone_on_with(tmp_path: Path) -> None:
    year = small_year(2_500)
    requests = requests_of(year, 100)
    most = len(requests) * 3 // 4
    with embedded(tmp_path) as installation, ExitStack() as stack:
        up = installation.metrics[0]
        token = send_all(installation.ingests, requests[:most])
        before = answers(installation, token)
        database = stack.enter_context(closing(Database(sqlite_url(tmp_path / "data" / "metrics.db"))))
        stood = 0
        for _ in range(2):
            killed_once_beyond(stood, tmp_path, database)
            assert standing(database) > stood, "it goes on from where it was"
            stood = standing(database)
            assert answers(installation, token) == before
        token = send_all(installation.ingests, requests[most:])
        ends = [started(tmp_path) for _ in range(2)]
        assert [process.wait(120) for process in ends] == [0, 0]
        assert answers(installation, token) != before
        assert check(up, "metrics")[1:] == (0, [])
        with database.snapshot() as tx:
            live = generations.live(database, tx)
        assert live is not None
        assert live.number in (2, 3), "one that begins when the other has finished fills a generation of its own"
        assert standing(database) == 0


def answers(installation: Installation, token: str) -> list[object]:
    return [ask(installation.metrics[0], "/v1/kpis/touchpoints", {"from": "2020-01-01", "to": "2030-01-01"}, token)["rows"]]


def standing(database: Database) -> int:
    """How many facts the next generation has counted."""
    with database.snapshot() as tx:
        now = filling.current(database, tx)
    return 0 if now is None else now.facts


def started(folder: Path) -> subprocess.Popen[bytes]:
    command = [WAYPOST, "rebuild", "metrics", "--data", str(folder / "data")]
    return subprocess.Popen(command, env=clean_environment(), stdout=subprocess.DEVNULL)


def killed_once_beyond(facts: int, folder: Path, database: Database) -> None:
    process = started(folder)
    try:
        while standing(database) <= facts:
            assert process.poll() is None, "it ended before it was killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
