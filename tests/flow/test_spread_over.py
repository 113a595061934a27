"""A service is started with another number of partitions than its topics were made with: every month reaches the bus all the same."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from schemas.facts import WATERMARK_KEY
from schemas.topics import JOURNEYS
from services.journey.main import begin_epoch
from services.shared.bus import TopicSpec, partition_of
from services.shared.bus.embedded import EmbeddedBus
from services.shared.db import Database, sqlite_url
from services.shared.waiting import Waiting
from tests.builders import touchpoint
from tests.flow.journey_room import PARTITIONS, Journey, running, settings_of

PEOPLE = 24
FEWER = 2


def published(room: Journey) -> dict[bytes, int]:
    """The partition of each month on the topic."""
    records = [record for number in room.bus.end_offsets(JOURNEYS) for record in room.bus.read(JOURNEYS, number, 0)]
    return {record.key: record.partition for record in records if record.key != WATERMARK_KEY}


def test_months_are_spread_over_the_partitions_that_there_are(tmp_path: Path) -> None:
    settings = settings_of(tmp_path).model_copy(update={"partitions": 3 * PARTITIONS})
    with closing(Database(sqlite_url(tmp_path / "journey.db"))) as database, running(settings, database) as room:
        room.post(*(touchpoint(f"t{n}", 0, f"customer_id:{n}") for n in range(PEOPLE)))
        assert Waiting().until(lambda: len(published(room)) == PEOPLE, 20)
        assert published(room) == {key: partition_of(key, PARTITIONS) for key in published(room)}
        assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0


def test_a_topic_made_anew_with_fewer_partitions_is_filled_once_the_command_that_is_named_was_run(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with closing(Database(sqlite_url(tmp_path / "journey.db"))) as database, closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
        with running(settings, database) as room:
            room.post(*(touchpoint(f"t{n}", 0, f"customer_id:{n}") for n in range(PEOPLE)))
            assert Waiting().until(lambda: len(published(room)) == PEOPLE, 20)
        bus.delete(JOURNEYS)
        bus.create([TopicSpec(JOURNEYS, FEWER, compacted=True)])
        with running(settings, database) as room:
            assert Waiting().until(lambda: "run `waypost restore --database`" in str(room.room.relay.trouble), 20)
            room.post(touchpoint("late", 1, "customer_id:7"))
            room.erase("customer_id:9")
            assert room.person("customer_id:7")["touchpoints"] == 2
        begin_epoch(database, bus, lambda done: None)
        with running(settings, database) as room:
            assert Waiting().until(lambda: len(published(room)) == PEOPLE, 20)
            assert published(room) == {key: partition_of(key, FEWER) for key in published(room)}
            assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0
