"""What is particular to the bus on Kafka: how its topics are set up, and outages of the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from services.shared.bus import Outgoing, Publisher, TopicSpec
from services.shared.bus.kafka import KafkaBus
from services.shared.errors import Misconfigured, Misplaced, Unavailable
from tests.contract.bus_places import PATIENCE_S, Place, Reader, name
from tests.parts.kafka import LEAVES_SOCKETS, Kafka

pytestmark = pytest.mark.filterwarnings(LEAVES_SOCKETS)


@pytest.fixture
def place(kafka: Kafka) -> Iterator[Place]:
    with closing(Place(f"kafka:{kafka.bootstrap}", kafka)) as place:
        yield place


@pytest.fixture
def admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        yield admin


def raises_within(seconds: float, call: Callable[[], object]) -> None:
    """`call` raises Unavailable by then, if it is repeated."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            call()
        except Unavailable:
            return
    raise AssertionError(f"nothing was raised within {seconds} s")


def test_topics_are_set_up_as_their_spec_says(place: Place, admin: KafkaAdminClient) -> None:
    specs = [
        TopicSpec(name("plain"), 3),
        TopicSpec(name("short"), 1, retention_s=3600),
        TopicSpec(name("compacted"), 2, compacted=True),
        TopicSpec(name("both"), 1, compacted=True, retention_s=60),
    ]
    place.bus.create(specs)
    asked = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs]
    configs = admin.describe_configs(asked)["topic"]

    def of(spec: TopicSpec, key: str) -> str:
        found: str = configs[spec.name][key]["value"]
        return found

    assert [of(spec, "cleanup.policy") for spec in specs] == ["delete", "delete", "compact", "compact,delete"]
    assert [of(spec, "retention.ms") for spec in specs] == ["-1", "3600000", "-1", "60000"]
    compacted = {key: {of(spec, key) for spec in specs[2:]} for key in ("max.compaction.lag.ms", "delete.retention.ms")}
    assert compacted == {"max.compaction.lag.ms": {"86400000"}, "delete.retention.ms": {"86400000"}}
    assert {of(spec, "message.timestamp.type") for spec in specs} == {"LogAppendTime"}
    assert [place.bus.describe(spec.name).partitions for spec in specs] == [3, 1, 2, 1]


def test_a_security_setting_that_kafka_python_does_not_know_is_misconfigured(kafka: Kafka) -> None:
    bus = KafkaBus(kafka.bootstrap, security={"sasl_mechanics": "PLAIN"})
    with pytest.raises(Misconfigured):
        bus.ping()


def test_a_position_that_retention_has_passed_is_misplaced_and_the_other_partitions_go_on(
    place: Place, admin: KafkaAdminClient
) -> None:
    topic = name("topic")
    place.bus.create([TopicSpec(topic, 2)])
    publisher = place.bus.publisher()
    publisher.publish([Outgoing(topic, b"k", b"%d" % number, 0) for number in range(10)]).result(PATIENCE_S)
    consumer = place.bus.consumer(name("group"), [topic])
    deadline = time.monotonic() + PATIENCE_S
    while not consumer.assignment():
        assert time.monotonic() < deadline
        consumer.poll(0.1)
    consumer.seek(topic, 0, 2)
    consumer.seek(topic, 1, 0)
    admin.delete_records({TopicPartition(topic, 0): 5})
    with pytest.raises(Misplaced, match=topic):
        consumer.poll(PATIENCE_S)
    publisher.publish([Outgoing(topic, b"k", b"other", 1)]).result(PATIENCE_S)
    assert [record.value for record in consumer.poll(PATIENCE_S)] == [b"other"]
    assert place.bus.begin_offsets(topic)[0] == 5
    with pytest.raises(Misplaced):
        consumer.seek(topic, 0, 4)
    consumer.seek(topic, 0, 5)
    assert consumer.poll(PATIENCE_S, 1)[0].offset == 5


def test_everything_says_so_while_the_broker_is_away_and_goes_on_when_it_is_back(place: Place) -> None:
    topic, fence = name("topic"), name("fence")
    place.bus.create([TopicSpec(topic, 1)])
    plain, fenced = place.bus.publisher(), place.bus.publisher(fence)
    for publisher in (plain, fenced):
        publisher.publish([Outgoing(topic, b"k", b"before")]).result(PATIENCE_S)
    reader = Reader(place.bus.consumer(name("group"), [topic]))
    reader.until(lambda: len(reader.records) == 2)
    with place.away():
        futures = [publisher.publish([Outgoing(topic, b"k", b"during")]) for publisher in (plain, fenced)]
        raises_within(4, place.bus.ping)
        raises_within(12, lambda: reader.consumer.poll(0.5))
        raises_within(12, lambda: place.bus.describe(topic))
        for future in futures:
            with pytest.raises(Unavailable):
                future.result(12)
    with pytest.raises(Unavailable):
        fenced.publish([Outgoing(topic, b"k", b"it does not know whether it was shut out")]).result(PATIENCE_S)
    for publisher in (plain, place.bus.publisher(fence)):
        _until(partial(_publish, publisher, Outgoing(topic, b"k", b"after")))
    _until(place.bus.ping)
    _until(lambda: place.bus.describe(topic))
    _until(lambda: reader.until(lambda: reader.values().count(b"after") >= 2))
    assert reader.values()[:2] == [b"before", b"before"]
    assert [record.offset for record in reader.records] == sorted({record.offset for record in reader.records})


def _until(call: Callable[[], object]) -> None:
    """Repeat a call until it does not raise Unavailable."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            call()
            return
        except Unavailable:
            assert time.monotonic() < deadline


def _publish(publisher: Publisher, record: Outgoing) -> None:
    publisher.publish([record]).result(PATIENCE_S)
