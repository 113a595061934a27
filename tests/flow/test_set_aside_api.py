"""People who are set aside, over HTTP: visible and listed with the reason, counted, out of what is published, released by a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest

from schemas.facts import PersonMonth
from schemas.topics import JOURNEYS
from services.journey.docs import PersonsAnswer
from services.shared.db import Database, sqlite_url
from tests.builders import DAY_US, MINUTE_US, order, touchpoint
from tests.flow.journey_room import PARTITIONS, Journey, running, settings_of

MOST = 5
WHY = {"reason": "a wholesaler", "by": "ann@desk.example"}


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    settings = settings_of(tmp_path, bot_touchpoints=MOST)
    with closing(Database(sqlite_url(tmp_path / "journey.db"))) as database, running(settings, database) as journey:
        yield journey


def bots(journey: Journey, *names: str, size: int = MOST + 2) -> None:
    for name in names:
        journey.post(*(touchpoint(f"{name}{number}", number * MINUTE_US, name, "device_id:d" + name) for number in range(size)))


def listed(journey: Journey, limit: int = 100) -> dict[str, str]:
    return {row["identity"]: row["reason"] for row in journey.rows("/v1/persons", "persons", limit, suspected_bot="true")}


def published(journey: Journey, person_id: str) -> list[PersonMonth]:
    """The newest record of each month of a person."""
    newest = {}
    for partition in range(PARTITIONS):
        for record in journey.bus.read(JOURNEYS, partition, 0, 100_000):
            if record.key.startswith(person_id.encode()):
                newest[record.key] = record.value
    return [msgspec.json.decode(value, type=PersonMonth) for value in newest.values() if value is not None]


def test_a_suspected_bot_is_visible_listed_and_counted_until_it_is_released(journey: Journey) -> None:
    bots(journey, "customer_id:a", "customer_id:b")
    journey.post(touchpoint("1", 0, "customer_id:c"))
    person = journey.person("customer_id:a")
    assert (person["touchpoints"], person["journeys"], person["suspected_bot"]) == (MOST + 2, [], True)
    assert person["set_aside"]["reason"] == "too_many_touchpoints"
    assert journey.person("customer_id:c")["set_aside"] is None
    assert listed(journey, 1) == dict.fromkeys(["customer_id:a", "customer_id:b"], "too_many_touchpoints")
    answer = journey.get("/v1/persons", suspected_bot="true")
    assert PersonsAnswer(**answer).model_dump() == answer
    assert answer["counts"] == {"too_many_touchpoints": 2, "record_too_large": 0}
    gauge = 'waypost_journey_suspected_bots{reason="too_many_touchpoints"} 2.0'
    assert gauge in generate_latest(journey.registry).decode().splitlines()
    assert len(journey.rows("/v1/persons/customer_id:a/touchpoints", "touchpoints", 3)) == MOST + 2

    journey.command("/v1/persons/device_id:dcustomer_id:a/release", WHY)
    assert listed(journey) == {"customer_id:b": "too_many_touchpoints"}
    person = journey.person("customer_id:a")
    assert (person["suspected_bot"], person["set_aside"], person["journeys"][0]["touchpoints"]) == (False, None, MOST + 2)
    journey.post(*(touchpoint(f"later {number}", DAY_US + number, "customer_id:a") for number in range(10)))
    assert journey.person("customer_id:a")["journeys"][0]["touchpoints"] == MOST + 12
    assert journey.get("/v1/check/journey", sample="all")["mismatches"] == 0


def test_only_people_who_are_set_aside_are_listed(journey: Journey) -> None:
    assert journey.get("/v1/persons", suspected_bot="true")["persons"] == []
    assert journey.refused("/v1/persons") == (422, "invalid_flag")
    assert journey.refused("/v1/persons", suspected_bot="false") == (422, "invalid_flag")
    assert journey.refused("/v1/persons", suspected_bot="true", cursor="x") == (422, "invalid_cursor")


def test_a_month_too_large_for_the_bus_is_not_published_and_a_release_does_not_help(tmp_path: Path) -> None:
    wide = "x" * 180
    with closing(Database(sqlite_url(tmp_path / "journey.db"))) as database, running(settings_of(tmp_path), database) as journey:
        journey.post(touchpoint("before", -30 * DAY_US, "customer_id:a"), touchpoint("1", 0, "customer_id:b"))
        person = journey.person("customer_id:a")["person_id"]
        for first in range(0, 1600, 400):
            journey.post(
                *(touchpoint(f"{n}", n, "customer_id:a", order=order(f"{n}{wide}", "placed")) for n in range(first, first + 400))
            )
        assert listed(journey) == {"customer_id:a": "record_too_large"}
        journey.command("/v1/persons/customer_id:a/release", WHY)
        assert journey.person("customer_id:a")["set_aside"]["reason"] == "record_too_large"
        assert journey.get("/v1/check/journey", sample="all")["mismatches"] == 0
        journey.room.relay.stop()
        assert all(month.gone for month in published(journey, person))
        assert not journey.person("customer_id:b")["suspected_bot"]
        (row,) = journey.get("/v1/persons", suspected_bot="true")["persons"]
        assert row["largest_month_bytes"] > 999_000
