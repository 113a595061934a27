"""What only the embedded bus does itself: retention, compaction, and a disk that is full or damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.bus import Outgoing, Record, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.errors import Misplaced, Unavailable
from tests.contract.bus_places import PATIENCE_S, Child, Reader

DAY_S = 24 * 3600


class Hands:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000

    def __call__(self) -> int:
        return self.now_s * 1_000_000


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def bus(tmp_path: Path, clock: Hands) -> Iterator[EmbeddedBus]:
    with closing(EmbeddedBus(tmp_path / "bus.db", housekeeping_s=DAY_S, clock=clock)) as bus:
        yield bus


def put(bus: EmbeddedBus, topic: str, *pairs: tuple[bytes, bytes | None]) -> None:
    bus.publisher().publish([Outgoing(topic, key, value) for key, value in pairs]).result(PATIENCE_S)


def test_retention_deletes_what_is_older_from_the_old_end_only(bus: EmbeddedBus, clock: Hands) -> None:
    bus.create([TopicSpec("kept", 1), TopicSpec("short", 1, retention_s=100)])
    for age in (0, 60, -200, 60):  # the third is stamped by a clock that was set back
        clock.now_s += age
        put(bus, "short", (b"k", b"v"))
        put(bus, "kept", (b"k", b"v"))
    clock.now_s += 150
    bus.keep_house()
    assert bus.begin_offsets("short") == {0: 0}
    clock.now_s += 1_000
    bus.keep_house()
    assert bus.begin_offsets("short") == bus.end_offsets("short") == {0: 4}
    assert len(bus.read("kept", 0, 0)) == 4
    put(bus, "short", (b"k", b"new"))
    assert [(record.offset, record.value) for record in bus.read("short", 0, 4)] == [(4, b"new")]


def test_retention_is_done_in_steps_whatever_there_is(bus: EmbeddedBus, clock: Hands) -> None:
    bus.create([TopicSpec("short", 1, retention_s=100)])
    put(bus, "short", *[(b"k", b"%d" % number) for number in range(5_000)])
    clock.now_s += 50
    put(bus, "short", (b"k", b"young"))
    clock.now_s += 51
    bus.keep_house()
    assert bus.begin_offsets("short") == {0: 5_000}
    assert [record.value for record in bus.read("short", 0, 5_000)] == [b"young"]


def test_a_position_that_retention_has_passed_is_misplaced_and_the_other_partitions_go_on(bus: EmbeddedBus, clock: Hands) -> None:
    bus.create([TopicSpec("short", 2, retention_s=100)])
    consumer = bus.consumer("group", ["short"])
    assert consumer.poll(0) == []
    consumer.seek("short", 0, 0)
    consumer.seek("short", 1, 0)
    publisher = bus.publisher()
    publisher.publish([Outgoing("short", b"k", b"old", 0)]).result(PATIENCE_S)
    clock.now_s += 101
    publisher.publish([Outgoing("short", b"k", b"young", 1)]).result(PATIENCE_S)
    bus.keep_house()
    with pytest.raises(Misplaced):
        consumer.poll(PATIENCE_S)
    assert [record.value for record in consumer.poll(PATIENCE_S)] == [b"young"]
    consumer.seek("short", 0, 1)
    publisher.publish([Outgoing("short", b"k", b"next", 0)]).result(PATIENCE_S)
    assert [record.value for record in consumer.poll(PATIENCE_S)] == [b"next"]


pairs = st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.one_of(st.none(), st.binary(max_size=3)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(pairs, max_size=12), max_size=6))
def test_compaction_keeps_the_last_of_each_key_where_it_was(
    bus: EmbeddedBus, rounds: list[list[tuple[bytes, bytes | None]]]
) -> None:
    for topic in ("compacted", "whole"):
        bus.delete(topic)
    bus.create([TopicSpec("compacted", 2, compacted=True), TopicSpec("whole", 2)])
    for sent in rounds:
        put(bus, "compacted", *sent)
        put(bus, "whole", *sent)
        bus.keep_house()
    for partition in range(2):
        whole = bus.read("whole", partition, 0)
        last = {record.key: record for record in whole}
        expected = [record._replace(topic="compacted") for record in whole if last[record.key] is record]
        found: list[Record] = bus.read("compacted", partition, 0)
        assert [record[:5] for record in found] == [record[:5] for record in expected]
        assert bus.end_offsets("compacted")[partition] == len(whole)


def test_compaction_is_done_in_steps_whatever_there_is(bus: EmbeddedBus) -> None:
    bus.create([TopicSpec("compacted", 1, compacted=True)])
    put(bus, "compacted", *[(b"%d" % (number % 7), b"%d" % number) for number in range(5_000)])
    bus.keep_house()
    assert [record.offset for record in bus.read("compacted", 0, 0)] == list(range(4_993, 5_000))
    reader = Reader(bus.consumer("group", ["compacted"]))
    reader.until(lambda: len(reader.records) == 7)


def test_a_tombstone_goes_after_a_day_and_nothing_older_comes_back(bus: EmbeddedBus, clock: Hands) -> None:
    bus.create([TopicSpec("compacted", 1, compacted=True), TopicSpec("plain", 1)])
    put(bus, "compacted", (b"a", b"1"), (b"b", b"2"), (b"a", None))
    put(bus, "plain", (b"a", None))
    clock.now_s += DAY_S - 1
    bus.keep_house()
    assert [(record.key, record.value) for record in bus.read("compacted", 0, 0)] == [(b"b", b"2"), (b"a", None)]
    clock.now_s += 2
    bus.keep_house()
    assert [(record.key, record.value) for record in bus.read("compacted", 0, 0)] == [(b"b", b"2")]
    assert [record.value for record in bus.read("plain", 0, 0)] == [None]


def test_housekeeping_runs_by_itself(tmp_path: Path) -> None:
    with closing(EmbeddedBus(tmp_path / "bus.db", housekeeping_s=0.05)) as bus:
        bus.create([TopicSpec("compacted", 1, compacted=True)])
        put(bus, "compacted", (b"a", b"1"), (b"a", b"2"))
        reader = Reader(bus.consumer("group", ["compacted"]))
        reader.until(lambda: len(bus.read("compacted", 0, 0)) == 1)


def test_a_full_disk_fails_publishing_loses_nothing_and_heals(bus: EmbeddedBus, tmp_path: Path) -> None:
    bus.create([TopicSpec("topic", 1)])
    with closing(Child(f"file:{tmp_path / 'bus.db'}", "fill", "topic")) as child:
        lines = child.finished()
    assert lines[-1] == "lifted more\n"
    acknowledged = [line.strip().encode() for line in lines[:-1]] + [b"more"]
    assert len(acknowledged) > 10
    kept = [record.key for record in bus.read("topic", 0, 0)]
    assert [key for key in kept if key in set(acknowledged)] == acknowledged


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_bytes(b"something else entirely " * 100)
    with pytest.raises(Unavailable):
        EmbeddedBus(tmp_path / "bus.db")
