"""Whatever dies and whoever takes over: the newest record of each month is what is stored, versions never go back, and a watermark
promises nothing that is not published before it. A topic that was made anew is filled again."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import WATERMARK_KEY, PersonMonth, Watermark, month_key
from schemas.topics import JOURNEYS, METRICS, TOUCHPOINTS
from services.journey import relay as relaying
from services.journey.monitoring import Monitoring
from services.journey.relay import Relay
from services.journey.store.departing import GoneMonths
from services.journey.store.destination import Destination
from services.journey.store.people import unpack
from services.shared.bus import Record, TopicInfo, TopicSpec, partition_of
from services.shared.bus.embedded import EmbeddedBus
from services.shared.clock import system_clock
from services.shared.db import Database
from services.shared.errors import Unavailable
from services.shared.log import Log
from services.shared.positions import Positions
from services.shared.waiting import Waiting
from tests.property.journey_store import PARTITIONS, Store, facts_of
from tests.property.test_store_and_model import touchpoints

ALL = frozenset(range(PARTITIONS))
INPUT = TopicInfo(TOUCHPOINTS, "t", PARTITIONS)


class Mortal(Database):
    """A database as one process sees it. `meanwhile` happens between its next look at the work and what it does then; with
    `is_dying` it goes away before the next transaction that would write."""

    meanwhile: Callable[[], None] | None = None
    is_dying = False

    @contextmanager
    def snapshot(self, *, patient: bool = False) -> Iterator[Connection]:
        with super().snapshot(patient=patient) as tx:
            yield tx
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if self.is_dying:
            raise Unavailable("this process is dead")
        with super().transaction() as tx:
            yield tx


class Installation:
    """A store, a bus, and processes that relay from one to the other, one after the other or two at a time."""

    def __init__(self, url: str, bus: EmbeddedBus) -> None:
        self.store, self.bus = Store(Database(url, durable=False)), bus
        self.databases = [Mortal(url, durable=False) for _ in range(2)]
        self.positions = Positions(self.store.database)

    def begin(self) -> None:
        """Everything from nothing."""
        self.store.clear()
        self.bus.delete(JOURNEYS)
        self.bus.create([TopicSpec(JOURNEYS, PARTITIONS), TopicSpec(TOUCHPOINTS, PARTITIONS)])
        self.relays = [self._relay(number) for number in range(2)]
        self.metrics = self.bus.consumer(METRICS, [JOURNEYS])
        self.metrics.poll(0)
        self.reported = dict.fromkeys(range(PARTITIONS), 0)
        self.changed: dict[int, dict[bytes, int]] = {}
        self.taken = 0
        with self.store.database.transaction() as tx:
            self.positions.start(tx, INPUT, 0)

    def report(self) -> None:
        """Metrics has read all there is."""
        self.reported = dict(self.bus.end_offsets(JOURNEYS))
        self.metrics.report({(JOURNEYS, partition): offset for partition, offset in self.reported.items()})

    def make_anew(self) -> None:
        """The topic is deleted and created again; what was forgotten by then is not told again."""
        self.metrics.close()
        self.bus.delete(JOURNEYS)
        self.bus.create([TopicSpec(JOURNEYS, PARTITIONS)])
        self.metrics = self.bus.consumer(METRICS, [JOURNEYS])
        self.metrics.poll(0)
        self.reported = dict.fromkeys(range(PARTITIONS), 0)
        self.changed = {0: {key: version for key, (version, facts) in self.months().items() if facts}}

    def end(self) -> None:
        self.metrics.close()
        for relay in self.relays:
            relay._hold(frozenset())

    def take(self, batch: list[bytes]) -> None:
        """A batch and the position behind it, as journey's consumer commits them."""
        self.store.take([batch], 1, before_commit=self._move)
        with self.store.database.snapshot() as tx:
            rows = self.store.database.execute(
                tx, "SELECT p.person_id, u.month, u.version FROM unpublished u JOIN person p ON p.root_id = u.root_id"
            )
        self.changed[self.taken] = {month_key(row[0], month_text(row[1])): row[2] for row in rows}

    def relay(self, number: int) -> None:
        """A process goes on: it looks, publishes, notes what it published; if it was shut out, it begins anew later."""
        relay = self.relays[number]
        try:
            relay._look_at_topics()
            relay._hold(ALL)
            while relay._pass():
                pass
        except Unavailable:
            relay._hold(frozenset())

    def take_over(self, number: int) -> None:
        """A process shuts out the other and goes on."""
        self.relays[number]._hold(frozenset())
        self.relay(number)

    def die(self, number: int) -> None:
        """A process publishes and dies before it has noted what; another starts in its place."""
        self.databases[number].is_dying = True
        self.relay(number)
        self.databases[number].is_dying = False
        self.relays[number]._hold(frozenset())
        self.relays[number] = self._relay(number)

    def records(self) -> dict[int, list[Record]]:
        return {partition: self.bus.read(JOURNEYS, partition, 0, 100_000) for partition in range(PARTITIONS)}

    def months(self) -> dict[bytes, tuple[int, list[Any]]]:
        """What is stored: version and facts by key."""
        with self.store.database.snapshot() as tx:
            rows = self.store.database.execute(
                tx, "SELECT p.person_id, m.month, m.version, m.facts FROM month m JOIN person p ON p.root_id = m.root_id"
            )
        return {
            month_key(person_id, month_text(month)): (version, list(facts_of(unpack(facts)).values()))
            for person_id, month, version, facts in rows
        }

    def _move(self, tx: Connection) -> None:
        self.positions.move(tx, {(TOUCHPOINTS, 0): (self.taken, self.taken + 1)})
        self.taken += 1

    def _relay(self, number: int) -> Relay:
        def positions(tx: Connection) -> Mapping[tuple[str, int], int]:
            return self.positions.offsets(tx)

        monitoring, log = Monitoring(CollectorRegistry()), Log("journey", system_clock, stream=io.StringIO())
        destination = Destination(self.databases[number], PARTITIONS)
        return Relay(self.bus, self.databases[number], lambda: ALL, positions, Waiting(), destination, monitoring, log, 1.0)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("relay")
    bus = EmbeddedBus(folder / "bus.sqlite")
    bus.create([TopicSpec(JOURNEYS, PARTITIONS), TopicSpec(TOUCHPOINTS, PARTITIONS)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaying, "BATCH", 2)
        patch.setattr(relaying, "REPORTED_S", 0.0)
        yield Installation(f"sqlite+pysqlite:///{folder / 'journey.sqlite'}", bus)
    bus.close()


batches = st.lists(touchpoints(), min_size=1, max_size=4)
whom = st.integers(0, 1)
happenings = st.one_of(
    st.tuples(st.just("take"), batches),
    st.tuples(st.just("relay"), whom),
    st.tuples(st.just("die"), whom),
    st.tuples(st.just("metrics reports")),
    st.tuples(st.just("topic made anew")),
    st.tuples(st.just("take while it looks"), whom, batches),
    st.tuples(st.just("overtaken while it looks"), whom, batches),
)


def happen(installation: Installation, what: str, *details: Any) -> None:
    match what, *details:
        case "take", batch:
            installation.take(batch)
        case "relay", number:
            installation.relay(number)
        case "metrics reports", *_:
            installation.report()
        case "topic made anew", *_:
            installation.make_anew()
        case "die", number:
            installation.die(number)
        case "take while it looks", number, batch:
            installation.databases[number].meanwhile = lambda: installation.take(batch)
            installation.relay(number)
        case "overtaken while it looks", number, batch:
            installation.databases[number].meanwhile = lambda: overtake(installation, 1 - number, batch)
            installation.relay(number)


def overtake(installation: Installation, number: int, batch: list[bytes]) -> None:
    installation.take(batch)
    installation.take_over(number)


def check_versions(records: dict[int, list[Record]]) -> None:
    for theirs in records.values():
        versions: defaultdict[bytes, list[int]] = defaultdict(list)
        for record in theirs:
            if record.key != WATERMARK_KEY and record.value is not None:
                versions[record.key].append(decoded(record).version)
        for of_key in versions.values():
            assert of_key == sorted(of_key)


def check_watermarks(installation: Installation, records: dict[int, list[Record]]) -> None:
    for partition, theirs in records.items():
        newest: dict[bytes, int] = {}
        promised = 0
        for record in theirs:
            if record.key != WATERMARK_KEY:
                if record.value is not None:
                    newest[record.key] = decoded(record).version
                continue
            assert record.value is not None
            position = msgspec.json.decode(record.value, type=Watermark).watermark[TOUCHPOINTS]["0"]
            assert position >= promised
            promised = position
            for taken, changed in installation.changed.items():
                if taken <= position:
                    mine = {key: version for key, version in changed.items() if partition_of(key, PARTITIONS) == partition}
                    assert all(newest.get(key, -1) >= version for key, version in mine.items())
        assert promised == installation.taken


def check_newest(installation: Installation, records: dict[int, list[Record]]) -> None:
    stored = installation.months()
    last = {record.key: record for theirs in records.values() for record in theirs if record.key != WATERMARK_KEY}
    newest = {key: decoded(record) for key, record in last.items() if record.value is not None}
    assert {key for key, month in newest.items() if not month.gone} == {key for key, (_, facts) in stored.items() if facts}
    for key, month in newest.items():
        assert month.gone or month.facts == stored[key][1]
        assert key == month_key(month.person_id, month.month)


def check_nulls(installation: Installation, records: dict[int, list[Record]]) -> None:
    """A null says what was said before, and metrics had come to that; nothing that waits for its null has had it."""
    for partition, theirs in records.items():
        before: dict[bytes, Record] = {}
        for record in theirs:
            if record.value is None:
                gone = before[record.key]
                assert gone.value is None or (decoded(gone).gone and gone.offset < installation.reported[partition])
            before[record.key] = record
    with installation.store.database.snapshot() as tx:
        waiting = GoneMonths(installation.store.database).waiting(tx, ALL, 1000)
    last = {record.key: record for theirs in records.values() for record in theirs}
    gone_keys = {
        key for key, record in last.items() if key != WATERMARK_KEY and record.value is not None and decoded(record).gone
    }
    assert {month_key(left.person_id, month_text(left.month)) for left in waiting} == gone_keys


def decoded(record: Record) -> PersonMonth:
    assert record.value is not None
    return msgspec.json.decode(record.value, type=PersonMonth)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(happened=st.lists(happenings, min_size=1, max_size=12))
def test_what_is_published_is_what_is_stored(installation: Installation, happened: list[tuple[Any, ...]]) -> None:
    installation.begin()
    for what, *details in happened:
        happen(installation, what, *details)
    installation.take_over(0)
    records = installation.records()
    check_nulls(installation, records)
    installation.report()
    installation.take_over(1)
    check_nulls(installation, installation.records())
    installation.end()
    check_versions(records)
    check_watermarks(installation, records)
    check_newest(installation, records)
