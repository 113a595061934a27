"""A rebuild derives everything anew from journey's own touchpoints: another vocabulary, another time zone, a topic made again."""

from __future__ import annotations

import base64
from contextlib import closing
from pathlib import Path

import msgspec

from schemas.facts import WATERMARK_KEY, PersonMonth
from schemas.rejected import RejectedRecord
from schemas.topics import JOURNEYS, REJECTED, TOUCHPOINTS
from schemas.touchpoint import Accepted
from services.journey.main import rebuild
from services.journey.rebuilding import STITCHING, SWITCHING
from services.shared.bus import TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import Settings
from services.shared.db import Database
from tests.builders import DAY_US, HOUR_US, body, case, order, touchpoint
from tests.flow.journey_room import PARTITIONS, Journey, running, settings_of

NEW_YEAR_US = 22 * DAY_US - 12 * HOUR_US
"""From the tests' start to 2026-02-01T00:00Z, which in New York is still January."""


def some_lives() -> list[Accepted]:
    """An anonymous visitor who signs in, a shared device, a case of two people, a touchpoint that came twice; the last in February."""
    return [
        touchpoint("1", 0, "anonymous_id:a"),
        touchpoint("2", HOUR_US, "anonymous_id:a", "customer_id:c", type="hinted"),
        touchpoint("3", 2 * HOUR_US, "customer_id:c", order=order("o"), case=case("k", "opened")),
        touchpoint("4", 3 * HOUR_US, "customer_id:d", "device_id:x", case=case("k", "resolved")),
        touchpoint("5", DAY_US, "device_id:x"),
        touchpoint("6", 2 * DAY_US, "customer_id:c", "device_id:x"),
        touchpoint("5", DAY_US, "device_id:x", "customer_id:e", received_us=3 * DAY_US),
        touchpoint("7", NEW_YEAR_US + HOUR_US, "customer_id:c"),
    ]


def rebuilt(settings: Settings, database: Database) -> list[tuple[int, int | None, str]]:
    """Rebuild as the command does, while nothing else runs; what it told of its progress."""
    told: list[tuple[int, int | None, str]] = []
    with closing(EmbeddedBus(settings.data / "bus.db")) as bus:
        rebuild(settings, database, bus, lambda done, total, doing: told.append((done, total, doing)))
    return told


def published(room: Journey) -> dict[tuple[str, str], PersonMonth]:
    """What somebody who reads `journeys` from its start holds."""
    found: dict[tuple[str, str], PersonMonth] = {}
    for partition in range(PARTITIONS):
        for record in room.bus.read(JOURNEYS, partition, 0):
            if record.key != WATERMARK_KEY and record.value is not None:
                month = msgspec.json.decode(record.value, type=PersonMonth)
                place = month.person_id, month.month
                assert place not in found or found[place].version < month.version
                found[place] = month
    return found


def test_a_rebuild_without_a_change_changes_nothing(tmp_path: Path, database: Database) -> None:
    settings = settings_of(tmp_path)
    with running(settings, database) as room:
        first, *rest = some_lives()
        room.post(first)
        (former,) = room.person("anonymous_id:a")["journeys"]
        former_id = room.person("anonymous_id:a")["person_id"]
        room.post(*rest)
        names = ("customer_id:c", "customer_id:d", "customer_id:e")
        before = [room.person(name) for name in names]
    told = rebuilt(settings, database)
    assert (8, 8, STITCHING) in told
    assert told[-1] == (0, None, SWITCHING)
    with running(settings, database) as room:
        after = [room.person(name) for name in names]
        assert after == before
        assert room.person(f"person_id:{former_id}")["person_id"] == after[0]["person_id"]
        assert room.get(f"/v1/journeys/{former['id']}")["id"] == after[0]["journeys"][0]["id"]
        assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0


def test_a_changed_vocabulary_is_applied_by_a_rebuild(tmp_path: Path, database: Database) -> None:
    with running(settings_of(tmp_path), database) as room:
        room.post(*some_lives())
        assert room.person("customer_id:c")["journeys"][0]["stages"][0]["touchpoints"] == 2
    settings = settings_of(tmp_path, vocabulary=tmp_path / "vocabulary.json")
    (tmp_path / "vocabulary.json").write_text('{"types": {"hinted": {"stage": "consideration"}}}')
    rebuilt(settings, database)
    with running(settings, database) as room:
        stages = room.person("customer_id:c")["journeys"][0]["stages"]
        assert [(stage["stage"], stage["touchpoints"]) for stage in stages][:2] == [("awareness", 1), ("consideration", 1)]
        assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0


def test_a_month_that_a_rebuild_empties_is_published_as_gone(tmp_path: Path, database: Database) -> None:
    with running(settings_of(tmp_path), database) as room:
        room.post(*some_lives())
        person = room.person("customer_id:c")["person_id"]
    settings = settings_of(tmp_path, time_zone="America/New_York")
    with running(settings_of(tmp_path), database) as room:
        before = published(room)
        assert {month for of, month in before if of == person} == {"2026-01", "2026-02"}
    rebuilt(settings, database)
    with running(settings, database) as room:
        room.post(touchpoint("8", 30 * DAY_US, "customer_id:z"))
        room.person("customer_id:z")
    with running(settings, database) as room:
        after = published(room)
        assert after[person, "2026-02"].gone
        assert not after[person, "2026-01"].gone
        assert all(after[place].version > before[place].version for place in ((person, "2026-01"), (person, "2026-02")))


def test_a_rebuild_after_the_topic_was_made_again_takes_it_from_its_start(tmp_path: Path, database: Database) -> None:
    settings = settings_of(tmp_path)
    with running(settings, database) as room:
        room.post(*some_lives())
        before = room.person("customer_id:c")
    with closing(EmbeddedBus(tmp_path / "bus.db")) as bus:
        bus.delete(TOUCHPOINTS)
        bus.create([TopicSpec(TOUCHPOINTS, PARTITIONS)])
    rebuilt(settings, database)
    with running(settings, database) as room:
        room.post(touchpoint("9", 40 * DAY_US, "customer_id:c"), some_lives()[2])
        assert room.person("customer_id:c")["touchpoints"] == before["touchpoints"] + 1


def test_a_stored_touchpoint_without_identity_is_set_aside(tmp_path: Path, database: Database) -> None:
    """Its order number was in the properties, and the vocabulary does not say so any more."""
    with_orders = settings_of(tmp_path, vocabulary=tmp_path / "vocabulary.json")
    (tmp_path / "vocabulary.json").write_text(
        '{"facets": {"sale": {"fills": "order", "take": {"order_id": ["number"]}}}, "types": {"sold": {"facet": "sale"}}}'
    )
    sold = touchpoint("9", 0, type="sold", properties=msgspec.Raw(b'{"number": "77"}'))
    with running(with_orders, database) as room:
        room.post(*some_lives(), sold)
        before = room.person("customer_id:c")
        assert room.person("order:shop/77")["touchpoints"] == 1
    rebuilt(settings_of(tmp_path), database)
    with running(settings_of(tmp_path), database) as room:
        assert room.person("customer_id:c") == before
        assert room.refused("/v1/persons/order:shop%2F77")[0] == 404
        assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0
        rejected = [record for partition in range(PARTITIONS) for record in room.bus.read(REJECTED, partition, 0)]
    (kept,) = [msgspec.json.decode(record.value or b"", type=RejectedRecord) for record in rejected]
    assert (kept.code, kept.source, kept.topic, kept.offset) == ("no_identity", "web", TOUCHPOINTS, None)
    assert kept.body is not None
    assert base64.b64decode(kept.body) == body(sold)
