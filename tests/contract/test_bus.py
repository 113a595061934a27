"""What `services.shared.bus` promises, on every bus."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.bus import MAX_RECORD_BYTES, Outgoing, Position, Publisher, TopicSpec, partition_of
from services.shared.errors import Misplaced, Rejected, Unavailable
from tests.contract.bus_places import PATIENCE_S, Place, Reader, name, shared_out
from tests.parts.kafka import LEAVES_SOCKETS

pytestmark = pytest.mark.filterwarnings(LEAVES_SOCKETS)


@pytest.fixture(params=["embedded", "kafka"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "embedded":
        place = Place(f"file:{tmp_path / 'bus.db'}")
    else:
        kafka = request.getfixturevalue("kafka")
        place = Place(f"kafka:{kafka.bootstrap}", kafka)
    with closing(place):
        yield place


def topic_of(place: Place, partitions: int = 4, compacted: bool = False) -> str:
    topic = name("topic")
    place.bus.create([TopicSpec(topic, partitions, compacted=compacted)])
    return topic


def published(publisher: Publisher, topic: str, *values: bytes, key: bytes = b"k") -> list[Position]:
    return publisher.publish([Outgoing(topic, key, value) for value in values]).result(PATIENCE_S)


# Publishing ---------------------------------------------------------------------------------------------------------------


def test_positions_come_in_the_order_given_and_name_the_partition_of_the_key(place: Place) -> None:
    topic = topic_of(place)
    records = [Outgoing(topic, b"key %d" % number, b"value %d" % number) for number in range(50)]
    positions = place.bus.publisher().publish(records).result(PATIENCE_S)
    assert [position.partition for position in positions] == [partition_of(record.key, 4) for record in records]
    for record, (partition, offset) in zip(records, positions, strict=True):
        (found,) = place.bus.read(topic, partition, offset, 1)
        assert (found.key, found.value, found.topic, found.partition, found.offset) == (
            record.key,
            record.value,
            topic,
            partition,
            offset,
        )


def test_the_order_of_each_partition_is_the_order_of_publishing(place: Place) -> None:
    topic = topic_of(place, partitions=3)
    publisher = place.bus.publisher()
    calls = st.lists(
        st.lists(st.tuples(st.sampled_from([b"", b"a", b"b", b"c", b"d"]), st.binary(max_size=50)), max_size=20), max_size=8
    )

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(calls)
    def check(calls: list[list[tuple[bytes, bytes]]]) -> None:
        begin = place.bus.end_offsets(topic)
        futures = [publisher.publish([Outgoing(topic, key, value) for key, value in call]) for call in calls]
        positions = [position for future in futures for position in future.result(PATIENCE_S)]
        sent = [record for call in calls for record in call]
        for partition in range(3):
            mine = [record for record in sent if partition_of(record[0], 3) == partition]
            found = place.bus.read(topic, partition, begin[partition])
            assert [(record.key, record.value) for record in found] == mine
            assert [record.offset for record in found] == [p.offset for p in positions if p.partition == partition]

    check()


def test_a_record_goes_to_the_partition_asked_for(place: Place) -> None:
    topic = topic_of(place)
    positions = place.bus.publisher().publish([Outgoing(topic, b"same", b"v", number) for number in range(4)]).result(PATIENCE_S)
    assert positions == [Position(number, 0) for number in range(4)]


def test_a_partition_that_the_topic_does_not_have_is_misplaced_and_harms_no_other_call(place: Place) -> None:
    topic = topic_of(place)
    publisher = place.bus.publisher()
    wrong, right = publisher.publish([Outgoing(topic, b"k", b"v", 4)]), publisher.publish([Outgoing(topic, b"k", b"v")])
    with pytest.raises(Misplaced):
        wrong.result(PATIENCE_S)
    assert right.result(PATIENCE_S) == [Position(partition_of(b"k", 4), 0)]


def test_publishing_nothing_succeeds(place: Place) -> None:
    assert place.bus.publisher().publish([]).result(PATIENCE_S) == []


def test_the_largest_record_passes_and_one_byte_more_is_rejected(place: Place) -> None:
    topic = topic_of(place)
    publisher = place.bus.publisher()
    noise = bytes(range(256)) * (MAX_RECORD_BYTES // 256 + 1)
    (position,) = published(publisher, topic, noise[: MAX_RECORD_BYTES - 1])
    assert place.bus.read(topic, *position)[0].value == noise[: MAX_RECORD_BYTES - 1]
    with pytest.raises(Rejected) as refused:
        publisher.publish([Outgoing(topic, b"k", b"small"), Outgoing(topic, b"k", noise[:MAX_RECORD_BYTES])])
    assert refused.value.code == "record_too_large"
    assert published(publisher, topic, b"next") == [Position(position.partition, position.offset + 1)]


def test_a_null_value_is_a_tombstone_and_not_an_empty_value(place: Place) -> None:
    topic = topic_of(place, partitions=1, compacted=True)
    place.bus.publisher().publish([Outgoing(topic, b"k", b""), Outgoing(topic, b"k", None)]).result(PATIENCE_S)
    assert [record.value for record in place.bus.read(topic, 0, 0)] == [b"", None]


def test_a_record_is_stamped_with_the_time_when_the_bus_took_it(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    before = time.time_ns() // 1_000_000
    published(place.bus.publisher(), topic, b"v")
    (record,) = place.bus.read(topic, 0, 0)
    assert before <= record.timestamp_ms <= time.time_ns() // 1_000_000


def test_many_threads_and_processes_publish_at_once(place: Place) -> None:
    topic = topic_of(place, partitions=2)
    publishers = [place.bus.publisher(), place.bus.publisher(), place.open().publisher()]
    child = place.child("publish", topic)
    child.lines(at_least=1)

    def work(number: int) -> list[Position]:
        publisher = publishers[number % 3]
        return [published(publisher, topic, b"x", key=b"%d" % number)[0] for _ in range(20)]

    with ThreadPoolExecutor(6) as threads:
        positions = [position for done in threads.map(work, range(6)) for position in done]
    positions += [Position(int(line.split()[0]), int(line.split()[1])) for line in child.kill()]
    assert len(positions) > 120
    assert len(set(positions)) == len(positions)


def test_what_was_acknowledged_survives_the_death_of_its_publisher(place: Place) -> None:
    topic = topic_of(place, partitions=2)
    child = place.child("publish", topic)
    child.lines(at_least=50)
    lines = [line.split() for line in child.kill()]
    other = place.open()
    for partition in (0, 1):
        found = {(record.partition, record.offset): record.key.decode() for record in other.read(topic, partition, 0, 100_000)}
        assert {(int(p), int(o)): key for p, o, key in lines if int(p) == partition}.items() <= found.items()


def test_while_the_bus_is_away_publishing_fails_and_afterwards_it_works_again(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    publisher = place.bus.publisher()
    published(publisher, topic, b"before")
    with place.away():
        began = time.monotonic()
        futures = [publisher.publish([Outgoing(topic, b"k", b"during")]) for _ in range(3)]
        for future in futures:
            with pytest.raises(Unavailable):
                future.result(PATIENCE_S)
        assert time.monotonic() - began < 12
    assert _published_again(publisher, topic) > 0
    values = [record.value for record in place.open().read(topic, 0, 0)]
    assert values[0] == b"before"
    assert values[-1] == b"after"


def _published_again(publisher: Publisher, topic: str) -> int:
    """The offset of a record that the publisher, found working again, publishes as the last."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            return published(publisher, topic, b"after")[0].offset
        except Unavailable:
            threading.Event().wait(0.05)  # away still: what rooms do is the same, with growing pauses
    raise AssertionError("the publisher did not come back")


def test_closing_a_publisher_finishes_what_it_holds_and_refuses_more(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    publisher = place.bus.publisher()
    futures = [publisher.publish([Outgoing(topic, b"k", b"%d" % number)]) for number in range(100)]
    publisher.close()
    assert [future.result(0)[0].offset for future in futures] == list(range(100))
    with pytest.raises(Unavailable):
        publisher.publish([Outgoing(topic, b"k", b"late")])
    publisher.close()


# Fencing ------------------------------------------------------------------------------------------------------------------


def test_a_later_publisher_of_one_fence_shuts_the_earlier_one_out(place: Place) -> None:
    topic, fence = topic_of(place, partitions=1), name("fence")
    first, elsewhere = place.bus.publisher(fence), place.bus.publisher(name("fence"))
    published(first, topic, b"first")
    second = place.open().publisher(fence)
    with pytest.raises(Unavailable):
        published(first, topic, b"first, too late")
    published(second, topic, b"second")
    published(elsewhere, topic, b"another fence")
    with pytest.raises(Unavailable):
        published(first, topic, b"first, again")
    published(second, topic, b"second, again")
    values = [record.value for record in place.bus.read(topic, 0, 0)]
    assert values == [b"first", b"second", b"another fence", b"second, again"]


def test_nothing_of_the_earlier_publisher_comes_after_the_later_one_has_opened(place: Place) -> None:
    topic, fence = topic_of(place, partitions=1), name("fence")
    first = place.bus.publisher(fence)
    published(first, topic, b"first")
    acknowledged = [0]

    def hammer() -> None:
        while True:
            try:
                acknowledged[0] += len(published(first, topic, b"first", b"first", b"first"))
            except Unavailable:
                return

    with ThreadPoolExecutor(1) as threads:
        hammering = threads.submit(hammer)
        second = place.open().publisher(fence)
        for _ in range(5):
            published(second, topic, b"second")
        hammering.result(PATIENCE_S)
    published(second, topic, b"second")
    values = [record.value for record in place.bus.read(topic, 0, 0, 100_000)]
    assert values[-6:] == [b"second"] * 6
    assert len(values) - 6 - 1 >= acknowledged[0]
    assert set(values[:-6]) == {b"first"}


def test_a_fenced_publisher_resolves_each_call_with_its_own_positions(place: Place) -> None:
    topic = topic_of(place, partitions=2, compacted=True)
    publisher = place.bus.publisher(name("fence"))
    records = [Outgoing(topic, b"%d" % number, b"v%d" % number) for number in range(60)]
    futures = [publisher.publish(records[start : start + 3]) for start in range(0, 60, 3)]
    positions = [position for future in futures for position in future.result(PATIENCE_S)]
    for record, position in zip(records, positions, strict=True):
        assert place.bus.read(topic, *position, 1)[0].value == record.value
    publisher.close()


# Topics -------------------------------------------------------------------------------------------------------------------


def test_creating_a_topic_again_leaves_it_as_it_is(place: Place) -> None:
    topic = topic_of(place, partitions=3)
    published(place.bus.publisher(), topic, b"kept")
    before = place.bus.describe(topic)
    place.open().create([TopicSpec(topic, 5, compacted=True), TopicSpec(name("new"), 1)])
    assert place.bus.describe(topic) == before
    assert (before.name, before.partitions) == (topic, 3)
    assert sum(place.bus.end_offsets(topic).values()) == 1


def test_several_processes_may_create_the_same_topics_at_once(place: Place) -> None:
    specs = [TopicSpec(name("topic"), 2) for _ in range(3)]
    buses = [place.open() for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda bus: bus.create(specs), buses))
    for spec in specs:
        assert len({bus.describe(spec.name) for bus in buses}) == 1


def test_a_topic_made_anew_has_another_id_and_begins_at_0(place: Place) -> None:
    topic = topic_of(place, partitions=2)
    published(place.bus.publisher(), topic, b"old")
    before = place.bus.describe(topic)
    place.bus.delete(topic)
    place.bus.delete(topic)
    place.bus.create([TopicSpec(topic, 2)])
    after = place.bus.describe(topic)
    assert after.id != before.id
    assert place.bus.end_offsets(topic) == {0: 0, 1: 0}
    assert place.bus.read(topic, 0, 0) == []


def test_a_topic_that_is_not_there_is_unavailable(place: Place) -> None:
    topic = name("missing")
    with pytest.raises(Unavailable):
        place.bus.describe(topic)
    with pytest.raises(Unavailable):
        place.bus.end_offsets(topic)
    with pytest.raises(Unavailable):
        place.bus.consumer(name("group"), [topic])
    with pytest.raises(Unavailable):
        published(place.bus.publisher(), topic, b"v")


def test_begin_and_end_offsets_frame_what_is_there(place: Place) -> None:
    topic = topic_of(place, partitions=2)
    published(place.bus.publisher(), topic, b"1", b"2", b"3")
    mine = partition_of(b"k", 2)
    assert place.bus.begin_offsets(topic) == {0: 0, 1: 0}
    assert place.bus.end_offsets(topic) == {mine: 3, 1 - mine: 0}


def test_reading_gives_at_most_what_was_asked_for_and_refuses_what_cannot_be(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    published(place.bus.publisher(), topic, *(b"%d" % number for number in range(10)))
    assert [record.offset for record in place.bus.read(topic, 0, 4, 3)] == [4, 5, 6]
    assert place.bus.read(topic, 0, 10) == []
    for partition, offset in ((0, 11), (1, 0)):
        with pytest.raises(Misplaced):
            place.bus.read(topic, partition, offset)


# Consuming ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_delivered_before_seek_and_then_exactly_from_there(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    published(place.bus.publisher(), topic, *(b"%d" % number for number in range(10)))
    consumer = place.bus.consumer(name("group"), [topic])
    deadline = time.monotonic() + PATIENCE_S
    while not consumer.assignment():
        assert time.monotonic() < deadline
        assert consumer.poll(1.0) == []
    assert consumer.poll(0.3) == []
    for offset in (6, 2, 9, 0):
        consumer.seek(topic, 0, offset)
        found = consumer.poll(PATIENCE_S, 1)
        assert [record.offset for record in found] == [offset]
    rest = Reader(consumer)
    rest.records = found
    while len(rest.records) < 10:
        rest.records += consumer.poll(PATIENCE_S)
    assert rest.values() == [b"%d" % number for number in range(10)]
    with pytest.raises(ValueError, match="not held"):
        consumer.seek(topic, 1, 0)


def test_an_offset_that_cannot_be_is_misplaced_and_the_other_partitions_go_on(place: Place) -> None:
    topic = topic_of(place, partitions=2)
    place.bus.publisher().publish([Outgoing(topic, b"k", b"v", 0), Outgoing(topic, b"k", b"v", 1)]).result(PATIENCE_S)
    reader = Reader(place.bus.consumer(name("group"), [topic]))
    reader.until(lambda: len(reader.records) == 2)
    with pytest.raises(Misplaced):
        reader.consumer.seek(topic, 0, 7)
    place.bus.publisher().publish([Outgoing(topic, b"k", b"more", number) for number in (0, 1)]).result(PATIENCE_S)
    reader.until(lambda: len(reader.records) == 3)
    assert reader.records[-1].partition == 1
    reader.consumer.seek(topic, 0, 1)
    reader.until(lambda: len(reader.records) == 4)
    assert reader.records[-1][1:3] == (0, 1)


def test_a_waiting_consumer_wakes_when_something_is_published(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    reader = Reader(place.bus.consumer(name("group"), [topic]))
    reader.until(lambda: bool(reader.held()))
    for bus in (place.bus, place.open()):  # of this process, and as of another
        publisher = bus.publisher()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(reader.consumer.poll, PATIENCE_S)
            published(publisher, topic, b"v")
            acknowledged = time.monotonic()
            assert len(waiting.result(PATIENCE_S)) == 1
            assert time.monotonic() - acknowledged < 1.0


def test_poll_gives_at_most_what_was_asked_for(place: Place) -> None:
    topic = topic_of(place)
    place.bus.publisher().publish([Outgoing(topic, b"%d" % number, b"v") for number in range(100)]).result(PATIENCE_S)
    reader = Reader(place.bus.consumer(name("group"), [topic]))
    reader.until(lambda: bool(reader.held()))
    counts: list[int] = []
    while sum(counts) < 100:
        counts.append(len(reader.consumer.poll(PATIENCE_S, 7)))
    assert max(counts) <= 7


def test_a_compacted_topic_is_read_in_offset_order_like_any_other(place: Place) -> None:
    topic = topic_of(place, partitions=1, compacted=True)
    published(place.bus.publisher(), topic, b"1", b"2")
    published(place.bus.publisher(name("fence")), topic, b"3")
    reader = Reader(place.bus.consumer(name("group"), [topic]))
    reader.until(lambda: len(reader.records) == 3)
    assert reader.values() == [b"1", b"2", b"3"]


def test_a_deleted_topic_does_not_stay_readable(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    published(place.bus.publisher(), topic, b"1", b"2", b"3")
    reader = Reader(place.bus.consumer(name("group"), [topic]))
    reader.until(lambda: len(reader.records) == 3)
    place.bus.delete(topic)

    def stopped() -> bool:
        try:
            return reader.consumer.poll(0.1) == [] and not reader.held()
        except (Misplaced, Unavailable):
            return True

    deadline = time.monotonic() + PATIENCE_S
    while not stopped():
        assert time.monotonic() < deadline


# Groups -------------------------------------------------------------------------------------------------------------------


def test_members_share_out_partition_numbers_as_they_join_and_leave(place: Place) -> None:
    topics = [topic_of(place, partitions=6), topic_of(place, partitions=6)]
    patient = place.open(session_timeout_s=30.0)  # so that only leaving can be what frees partitions
    group = name("group")
    readers = [Reader(patient.consumer(group, topics))]
    readers[0].until(lambda: shared_out(readers, 6, 2))
    for _ in range(2):
        readers.append(Reader(patient.consumer(group, topics)))
        readers[0].until(lambda: shared_out(readers, 6, 2), *readers[1:])
    publisher = place.bus.publisher()
    records = [Outgoing(topic, b"k", b"%d" % number, number) for number in range(6) for topic in topics]
    publisher.publish(records).result(PATIENCE_S)
    readers[0].until(lambda: sum(len(reader.records) for reader in readers) == 12, *readers[1:])
    while len(readers) > 1:
        readers.pop().consumer.close()
        readers[0].until(lambda: shared_out(readers, 6, 2), *readers[1:])


def test_the_partitions_of_a_killed_member_go_to_the_others(place: Place) -> None:
    topics, group = [topic_of(place), topic_of(place)], name("group")
    reader = Reader(place.bus.consumer(group, topics))
    reader.until(lambda: shared_out([reader], 4, 2))
    child = place.child("join", group, *topics)
    reader.until(lambda: len(reader.held()) == 4)
    child.kill()
    reader.until(lambda: shared_out([reader], 4, 2))


def test_a_member_paused_past_its_time_out_comes_back_as_one_of_the_group(place: Place) -> None:
    topic, group = topic_of(place), name("group")
    everything = frozenset((topic, number) for number in range(4))
    child = place.child("join", group, topic)

    def theirs() -> frozenset[tuple[str, int]]:
        return frozenset((topic, number) for topic, number in json.loads(child.lines(at_least=1)[-1]))

    reader = Reader(place.bus.consumer(group, [topic]))
    reader.until(lambda: len(reader.held()) == 2 and theirs() == everything - reader.held())
    child.process.send_signal(signal.SIGSTOP)
    reader.until(lambda: reader.held() == everything)
    child.process.send_signal(signal.SIGCONT)
    reader.until(lambda: len(reader.held()) == 2 and theirs() == everything - reader.held())
    (number, *_) = (number for _, number in reader.held())
    place.bus.publisher().publish([Outgoing(topic, b"k", b"v", number)]).result(PATIENCE_S)
    reader.until(lambda: len(reader.records) == 1)


def test_a_member_gets_its_share_however_short_its_polls_are(place: Place) -> None:
    topic = topic_of(place)
    for timeout_s in (0.001, 0.003, 0.01, 0.03, 0.1):
        consumer = place.bus.consumer(name("group"), [topic])
        deadline = time.monotonic() + PATIENCE_S
        while not consumer.assignment():
            assert time.monotonic() < deadline, f"polls of {timeout_s} s"
            consumer.poll(timeout_s)
        consumer.close()


def test_groups_do_not_disturb_each_other(place: Place) -> None:
    topic = topic_of(place, partitions=2)
    readers = [Reader(place.bus.consumer(name("group"), [topic])) for _ in range(2)]
    published(place.bus.publisher(), topic, b"v")
    readers[0].until(lambda: all(len(reader.records) == 1 for reader in readers), readers[1])


def test_a_restarted_process_goes_on_where_it_stood(place: Place) -> None:
    topic, group = topic_of(place, partitions=1), name("group")
    bus = place.open()
    published(bus.publisher(), topic, b"1", b"2")
    reader = Reader(bus.consumer(group, [topic]))
    reader.until(lambda: len(reader.records) == 2)
    bus.close()
    again = place.open()
    published(again.publisher(), topic, b"3")
    consumer = again.consumer(group, [topic])
    deadline = time.monotonic() + PATIENCE_S
    while not consumer.assignment():
        assert time.monotonic() < deadline
        consumer.poll(0.1)
    consumer.seek(topic, 0, 2)
    assert [record.value for record in consumer.poll(PATIENCE_S)] == [b"3"]


# Closing ------------------------------------------------------------------------------------------------------------------


def test_a_closed_bus_answers_unavailable(place: Place) -> None:
    topic = topic_of(place, partitions=1)
    bus = place.open()
    publisher, consumer = bus.publisher(), bus.consumer(name("group"), [topic])
    bus.ping()
    bus.close()
    bus.close()
    for call in (bus.ping, lambda: bus.describe(topic), lambda: consumer.poll(0.1), bus.publisher):
        with pytest.raises(Unavailable):
            call()
    with pytest.raises(Unavailable):
        publisher.publish([Outgoing(topic, b"k", b"v")]).result(PATIENCE_S)


def test_what_a_group_reports_is_there_for_others_and_moves_nobody(place: Place) -> None:
    topic, group = topic_of(place, 2), name("group")
    published(place.bus.publisher(), topic, b"1", b"2", b"3", key=b"k")
    where = (topic, partition_of(b"k", 2))
    reader = Reader(place.bus.consumer(group, [topic]))
    reader.until(lambda: len(reader.records) == 3)
    assert place.open().reported(group, topic) == {}
    reader.consumer.report({where: 2, ("held by nobody", 0): 7})
    reader.until(lambda: place.bus.reported(group, topic) == {where[1]: 2})
    assert place.bus.reported(name("other"), topic) == {}
    reader.consumer.close()
    assert place.bus.reported(group, topic) == {where[1]: 2}
    again = Reader(place.bus.consumer(group, [topic]))
    again.until(lambda: len(again.records) == 3)
