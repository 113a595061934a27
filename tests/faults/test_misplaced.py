"""Positions that do not fit their topic any more: the partitions stop, /health/ready says why and names a command, and running that very
command mends it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions
from kafka.errors import BrokerResponseError, PolicyViolationError

from schemas.times import DAY_US
from schemas.topics import JOURNEYS, TOUCHPOINTS
from services.cli.parts import topic_specs
from services.shared.bus import Bus
from services.shared.bus.embedded import EmbeddedBus
from services.shared.bus.kafka import KafkaBus
from services.shared.clock import system_clock
from services.shared.config import Settings
from services.shared.errors import Unavailable
from tests.faults.account import Account
from tests.faults.service import PARTITIONS, Service, distributed, embedded, service, until
from tests.parts.installation import Installation, ask
from tests.parts.kafka import LEAVES_SOCKETS, Kafka
from tests.parts.postgres import Postgres

pytestmark = pytest.mark.filterwarnings(LEAVES_SOCKETS)
SPECS = {spec.name: spec for spec in topic_specs(Settings(partitions=PARTITIONS))}
MONTHS_US = 100 * DAY_US


@dataclass(frozen=True)
class Scene:
    """A running installation, a bus object of its own on the same place, how to expire all that a topic holds, and how to keep
    journey from taking anything until it is started anew."""

    at: Installation
    account: Account
    bus: Bus
    expire: Callable[[str], None]
    held_up: Callable[[], AbstractContextManager[None]]

    @property
    def journey(self) -> Service:
        return service(self.at.journeys[0])

    @property
    def metrics(self) -> Service:
        return service(self.at.metrics[0])

    def begin(self) -> None:
        """Whatever happened before, everything is well, and something is counted."""
        self.account.send()
        self.account.settle()

    def make_anew(self, topic: str) -> None:
        """Delete a topic and create it again."""
        before = self.bus.describe(topic).id
        self.bus.delete(topic)

        def is_there() -> bool:
            try:
                self.bus.create([SPECS[topic]])
                return self.bus.describe(topic).id != before
            except Unavailable:
                return False

        until(is_there, f"{topic} cannot be made".format)

    def mends(self, stopped: Service, why: str) -> None:
        """The consumer of a process stops, says why, and names the command; that command is run, and everything is well again."""
        said = until(lambda: re.search(rf"{why}.*run `waypost ([a-z ]+)`", " ".join(stopped.health().values())), stopped.health)
        ended = stopped.run(*said.group(1).split())
        assert ended.code == 0, ended.output
        for process in self.at.processes:
            service(process).ready()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("misplaced")
    with embedded(folder) as at, ExitStack() as stack:
        file = folder / "data" / "bus.db"
        bus, later = (
            stack.enter_context(closing(EmbeddedBus(file, clock=clock)))
            for clock in (system_clock, lambda: system_clock() + MONTHS_US)
        )

        @contextmanager
        def held_up() -> Iterator[None]:
            with closing(sqlite3.connect(folder / "data" / "journey.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield
                at.processes[0].kill9()
            at.processes[0].start()

        yield Scene(at, Account(at), bus, lambda _: later.keep_house(), held_up)


@pytest.fixture(scope="module")
def on_kafka(kafka: Kafka, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with (
        distributed(kafka, postgres.new_database(), tmp_path_factory.mktemp("misplaced")) as at,
        closing(KafkaBus(kafka.bootstrap)) as bus,
        closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin,
    ):

        def expire(topic: str) -> None:
            """As somebody does who takes the topic for one of those that may be emptied; Kafka refuses it for a compacted one."""
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"cleanup.policy": "delete"})])

            def is_empty() -> bool:
                try:
                    admin.delete_records({TopicPartition(topic, number): -1 for number in range(PARTITIONS)})
                except BrokerResponseError as error:
                    if PolicyViolationError.__name__ not in repr(error):
                        raise
                    return False  # the broker has not heard of it yet
                return True

            until(is_empty, f"{topic} cannot be emptied".format)

        @contextmanager
        def held_up() -> Iterator[None]:
            at.journeys[0].kill9()
            yield
            at.journeys[0].start()

        yield Scene(at, Account(at), bus, expire, held_up)


@pytest.fixture(params=["on_sqlite", "on_kafka"])
def scene(request: pytest.FixtureRequest) -> Scene:
    scene: Scene = request.getfixturevalue(request.param)
    scene.begin()
    return scene


def test_touchpoints_deleted_and_made_anew(scene: Scene) -> None:
    """What was read is kept; what is acknowledged from now on is read from the new topic's start."""
    scene.make_anew(TOUCHPOINTS)
    scene.account.forget_tokens()
    scene.account.send()
    scene.mends(scene.journey, "topic touchpoints was deleted and created again")
    scene.account.settle()


def test_journeys_deleted_and_made_anew(scene: Scene) -> None:
    """Journey fills the new topic with everybody; metrics forgets what came from the old one, and reads it."""
    scene.make_anew(JOURNEYS)
    scene.mends(scene.metrics, "topic journeys was deleted and created again")
    scene.account.send()
    scene.account.settle()


def test_touchpoints_that_expired_before_they_were_read(scene: Scene) -> None:
    """They are lost, and journey does not hide it; what was counted stays, and what comes goes on."""
    counted = set(scene.account.acknowledged)
    with scene.held_up():
        scene.account.send()
        scene.expire(TOUCHPOINTS)
    scene.mends(scene.journey, "touchpoints/[0-9]+ holds offsets [0-9]+ to [0-9]+, [0-9]+ was asked for")
    scene.account.lose(scene.account.acknowledged.keys() - counted)
    scene.account.send()
    scene.account.settle()


def test_journeys_that_were_deleted_before_they_were_read(on_kafka: Scene) -> None:
    """Journey notices that the topic has lost records, and publishes everybody again."""
    on_kafka.begin()
    on_kafka.metrics.kill9()
    on_kafka.account.send()
    ask(on_kafka.journey, "/v1/journeys", {"limit": 1}, on_kafka.account.token)
    on_kafka.expire(JOURNEYS)
    on_kafka.metrics.start()
    on_kafka.mends(on_kafka.metrics, "journeys/[0-9]+ holds offsets [0-9]+ to [0-9]+, [0-9]+ was asked for")
    on_kafka.account.settle()


@pytest.mark.parametrize("topic", [TOUCHPOINTS, JOURNEYS])
def test_partitions_added(on_kafka: Scene, kafka: Kafka, topic: str) -> None:
    """Runs last: topics keep their partitions. The embedded bus has no way to add any."""
    on_kafka.begin()
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        admin.create_partitions({topic: NewPartitions(PARTITIONS + 2)})
    stopped = on_kafka.journey if topic == TOUCHPOINTS else on_kafka.metrics
    on_kafka.mends(stopped, f"topic {topic} had {PARTITIONS} partitions and has {PARTITIONS + 2} now")
    for process in on_kafka.at.ingests:  # so that it knows the new partitions at once
        process.stop()
        process.start()
    on_kafka.journey.stop()  # months stay in the partitions where they are
    on_kafka.journey.start()
    on_kafka.account.send(60)
    on_kafka.account.settle()
