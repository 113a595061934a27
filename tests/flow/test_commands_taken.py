"""Journey takes the topic `commands` beside `touchpoints`: each command once, the bad ones kept as rejected, waited for by token."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import tokens, topics
from schemas.commands import Command
from schemas.facts import WATERMARK_KEY, Watermark
from schemas.rejected import RejectedRecord
from schemas.times import format_time
from services.journey.main import rebuild
from services.journey.store.commands import StoredCommands
from services.journey.store.identities import Identities
from services.shared.bus import Outgoing, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.db import Database, sqlite_url
from tests.builders import START_US, touchpoint
from tests.flow.journey_room import PARTITIONS, Journey, running, settings_of

LINK = Command(id="1", action="link", identities=["customer_id:a", "email:e"], by="ann", at=format_time(START_US), reason="asked")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(sqlite_url(tmp_path / "journey.db"))) as one:
        yield one


def send(room: Journey, *values: bytes, key: str = "email:e") -> None:
    """Publish these as commands; every later question waits for them."""
    with closing(room.bus.publisher()) as publisher:
        positions = publisher.publish([Outgoing(topics.COMMANDS, key.encode(), value) for value in values]).result(10)
    token = tokens.encode((topics.COMMANDS, *position) for position in positions)
    room.token = ",".join(filter(None, (room.token, token)))
    room.get("/v1/cases")


def kept(database: Database, name: str) -> list[tuple[Any, ...]]:
    """The commands that name an identity: what, when, by whom, why."""
    with database.snapshot() as tx:
        found = Identities(database).read(tx, [name])
        stored = StoredCommands(database).naming(tx, [one.id for one in found])
    return [(one.id, one.action, one.at_us, one.by, one.reason) for one in stored]


def test_a_command_is_kept_once_and_found_by_each_identity_that_it_names(tmp_path: Path, database: Database) -> None:
    unlink = msgspec.structs.replace(LINK, id="2", action="unlink", reason=None)
    with running(settings_of(tmp_path), database) as room:
        send(room, msgspec.json.encode(LINK), msgspec.json.encode(unlink), msgspec.json.encode(LINK))
        send(room, msgspec.json.encode(LINK))
    wanted = [("1", "link", START_US, "ann", "asked"), ("2", "unlink", START_US, "ann", None)]
    assert kept(database, "customer_id:a") == kept(database, "email:e") == wanted
    assert kept(database, "email:f") == []


def test_of_two_commands_with_one_id_the_earlier_counts(tmp_path: Path, database: Database) -> None:
    later = msgspec.structs.replace(LINK, at=format_time(START_US + 1))
    with running(settings_of(tmp_path), database) as room:
        for command in (later, LINK, later):
            send(room, msgspec.json.encode(command))
    assert [one[2] for one in kept(database, "email:e")] == [START_US]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{}",
        b'{"id": "1", "action": "forget", "identities": ["a:1"], "by": "ann", "at": "2026-01-01T00:00:00Z"}',
        b'{"id": "1", "action": "link", "identities": ["a:1", "a:1"], "by": "ann", "at": "2026-01-01T00:00:00Z"}',
        b'{"id": "1", "action": "link", "identities": ["a:1"], "by": "ann", "at": "2026-01-01T00:00:00Z"}',
        b'{"id": "1", "action": "erase", "identities": [], "by": "ann", "at": "2026-01-01T00:00:00Z"}',
        b'{"id": "1", "action": "erase", "identities": ["a:1", "a:1"], "by": "ann", "at": "2026-01-01T00:00:00Z"}',
        b'{"id": "1", "action": "link", "identities": ["a:1", "b"], "by": "ann", "at": "2026-01-01T00:00:00Z"}',
        b'{"id": "1", "action": "link", "identities": ["a:1", "b:2"], "by": "ann", "at": "yesterday"}',
        b'{"id": "1", "action": "link", "identities": ["a:1", "b:2"], "by": "", "at": "2026-01-01T00:00:00Z"}',
    ],
)
def test_a_bad_command_is_kept_with_its_bytes_and_stops_nothing(tmp_path: Path, database: Database, bad: bytes) -> None:
    with running(settings_of(tmp_path), database) as room:
        send(room, bad, msgspec.json.encode(LINK))
        records = [record for partition in range(PARTITIONS) for record in room.bus.read(topics.REJECTED, partition, 0)]
    (rejected,) = (msgspec.json.decode(record.value or b"", type=RejectedRecord) for record in records)
    assert (base64.b64decode(rejected.body or ""), rejected.topic, rejected.offset) == (bad, topics.COMMANDS, 0)
    assert rejected.code in ("invalid_command", "invalid_time")
    assert [one[0] for one in kept(database, "email:e")] == ["1"]


def test_every_partition_of_journeys_is_told_how_far_commands_were_taken(tmp_path: Path, database: Database) -> None:
    with running(settings_of(tmp_path), database) as room:
        send(room, msgspec.json.encode(LINK))
    wanted = tokens.decode(room.token)
    with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
        for partition in range(PARTITIONS):
            marks = [record for record in bus.read(topics.JOURNEYS, partition, 0) if record.key == WATERMARK_KEY]
            newest = msgspec.json.decode(marks[-1].value or b"", type=Watermark).watermark
            positions = {(topic, int(number)): offset for topic, of in newest.items() for number, offset in of.items()}
            assert tokens.is_passed(wanted, positions)


def test_commands_are_kept_over_a_rebuild_and_over_their_topic_s_being_made_again(tmp_path: Path, database: Database) -> None:
    settings = settings_of(tmp_path)
    with running(settings, database) as room:
        room.post(touchpoint("1", 0, "customer_id:a"))
        send(room, msgspec.json.encode(LINK))
    with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
        bus.delete(topics.COMMANDS)
        bus.create([TopicSpec(topics.COMMANDS, PARTITIONS)])
        rebuild(settings, database, bus, lambda done, total, doing: None)
    with running(settings, database) as room:
        send(room, msgspec.json.encode(msgspec.structs.replace(LINK, id="2")))
    assert [one[0] for one in kept(database, "email:e")] == ["1", "2"]
