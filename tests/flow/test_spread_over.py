"""A service is started with another number of partitions than its topics were made with: every month reaches the bus all the same."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from schemas.facts import WATERMARK_KEY
from schemas.topics import JOURNEYS
from services.shared.bus import partition_of
from services.shared.db import Database, sqlite_url
from services.shared.waiting import Waiting
from tests.builders import touchpoint
from tests.flow.journey_room import PARTITIONS, Journey, running, settings_of

PEOPLE = 24


def published(room: Journey) -> dict[bytes, int]:
    """The partition of each month on the topic."""
    records = [record for number in range(PARTITIONS) for record in room.bus.read(JOURNEYS, number, 0)]
    return {record.key: record.partition for record in records if record.key != WATERMARK_KEY}


def test_months_are_spread_over_the_partitions_that_there_are(tmp_path: Path) -> None:
    settings = settings_of(tmp_path).model_copy(update={"partitions": 3 * PARTITIONS})
    with closing(Database(sqlite_url(tmp_path / "journey.db"))) as database, running(settings, database) as room:
        room.post(*(touchpoint(f"t{n}", 0, f"customer_id:{n}") for n in range(PEOPLE)))
        assert Waiting().until(lambda: len(published(room)) == PEOPLE, 20)
        assert published(room) == {key: partition_of(key, PARTITIONS) for key in published(room)}
        assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0
