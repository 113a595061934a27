"""A next generation is filled beside consumers that go on: whenever they come between, and whoever dies, it ends as if counted afresh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.calendar import Calendar
from schemas.facts import PersonMonth
from schemas.topics import JOURNEYS
from services.metrics.store import generations
from services.metrics.store.checking import check
from services.metrics.store.rebuilding import Progress, Rebuilding
from services.metrics.store.taking import Taking
from services.shared.bus import TopicInfo
from services.shared.db import Database, sqlite_url
from services.shared.errors import Misconfigured
from tests.parts.postgres import Postgres
from tests.property.test_metrics_rollups import PARTITIONS, ZONE, Store, Stream, record, streams

TOPIC = TopicInfo(JOURNEYS, "t", PARTITIONS)
OTHER_ZONE = "Asia/Kathmandu"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("metrics")
        url = sqlite_url(folder / "metrics.sqlite")
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_database()
    with closing(Database(url, durable=False)) as database:
        yield Store(database)


slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Live:
    """The live generation as processes see it: a consumer of its settings, and a check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def zone(self) -> str:
        with self._database.snapshot() as tx:
            live = generations.live(self._database, tx)
        assert live is not None
        return {generations.generation_hash(zone): zone for zone in (ZONE, OTHER_ZONE)}[live.hash]

    def take(self, batch: Sequence[PersonMonth]) -> None:
        zone = self.zone()
        with self._database.transaction() as tx:
            number = generations.held_generation(self._database, tx, generations.generation_hash(zone)).number
            Taking(self._database, Calendar(zone)).take(tx, number, [record(month) for month in batch])

    def assert_exact(self) -> None:
        zone = self.zone()
        with self._database.snapshot() as tx:
            found = check(self._database, tx, Calendar(zone))
        assert (found.mismatches, found.examples) == (0, [])


def left(database: Database) -> dict[str, int]:
    """What a rebuild leaves behind: rows by table, or by generation where there is one."""
    with database.snapshot() as tx:
        tables = {name: database.execute(tx, f"SELECT count(*) FROM {name}")[0][0] for name in ("filling", "fact_change")}
        numbers = {row[0] for name in ("rollup", "histogram") for row in database.execute(tx, f"SELECT generation FROM {name}")}
        live = generations.live(database, tx)
        listed = [row[0] for row in database.execute(tx, "SELECT number FROM generation")]
    assert live is not None
    assert numbers <= {live.number}
    assert listed == [live.number]
    return tables


@slow
@given(
    stream=streams(),
    zone=st.sampled_from([ZONE, OTHER_ZONE]),
    page=st.integers(1, 4),
    before=st.integers(0, 3),
    plan=st.lists(st.sampled_from(["step", "step", "step", "batch", "kill", "second"]), max_size=30),
)
def test_whatever_happens_meanwhile_the_next_generation_is_exact(
    store: Store, stream: Stream, zone: str, page: int, before: int, plan: list[str]
) -> None:
    """`second` runs the whole of another process's rebuild of the same settings."""
    store.fill(stream.batches[:before])
    waiting, live = list(stream.batches[before:]), Live(store.database)

    def begun() -> Iterator[Progress]:
        return Rebuilding(store.database, TOPIC, zone, page=page).steps()

    steps = begun()
    for event in plan:
        if event == "step":
            next(steps, None)
        elif event == "kill":
            steps = begun()
        elif event == "second":
            assert list(begun())
        elif waiting:
            live.take(waiting.pop(0))
        live.assert_exact()
    for _ in steps:
        if waiting:
            live.take(waiting.pop(0))
    for batch in waiting:
        live.take(batch)
    live.assert_exact()
    assert live.zone() == zone
    assert left(store.database) == {"filling": 0, "fact_change": 0}
    tables = ("rollup", "histogram", "fact", "effect")
    streamed = {table: store.rows(table) for table in tables}
    store.fill([stream.newest], zone)
    assert streamed == {table: store.rows(table) for table in tables}


@slow
@given(stream=streams(), page=st.integers(1, 4), taken=st.integers(0, 12))
def test_changed_settings_begin_a_rebuild_anew(store: Store, stream: Stream, page: int, taken: int) -> None:
    store.fill(stream.batches)
    earlier = Rebuilding(store.database, TOPIC, ZONE, page=page).steps()
    for _ in zip(range(taken), earlier, strict=False):
        pass
    assert list(Rebuilding(store.database, TOPIC, OTHER_ZONE, page=page).steps())
    live = Live(store.database)
    assert live.zone() == OTHER_ZONE
    live.assert_exact()
    assert left(store.database) == {"filling": 0, "fact_change": 0}


def test_the_rebuild_that_was_overtaken_by_other_settings_says_so(store: Store) -> None:
    store.fill([])
    earlier = Rebuilding(store.database, TOPIC, ZONE).steps()
    next(earlier)
    later = Rebuilding(store.database, TOPIC, OTHER_ZONE).steps()
    next(later)
    with pytest.raises(Misconfigured, match="other settings"):
        list(earlier)
    assert list(later) is not None
    assert Live(store.database).zone() == OTHER_ZONE


@slow
@given(stream=streams(), page=st.integers(1, 4))
def test_rows_that_another_version_wrote_are_brought_up_to_date(store: Store, stream: Stream, page: int) -> None:
    """Their times decide what a question `as_of` reads."""
    store.fill([stream.newest])
    right = {table: store.rows(table) for table in ("fact", "effect")}
    with store.database.transaction() as tx:
        store.database.execute(tx, "UPDATE fact SET until_us = until_us + 1")
        store.database.execute(tx, "DELETE FROM effect")
    assert list(Rebuilding(store.database, TOPIC, ZONE, page=page).steps())
    assert right == {table: store.rows(table) for table in right}
    Live(store.database).assert_exact()
