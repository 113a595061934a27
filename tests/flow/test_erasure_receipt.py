"""An erasure's receipt names the copies that Waypost does not remove the person from: backups, an interrupted rebuild, PostgreSQL's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from schemas.times import format_time
from services.cli.backups.making import back_up
from services.journey.main import rebuild
from services.journey.restoring import epoch_of
from services.shared import backups
from services.shared.backups import Backup
from services.shared.clock import system_clock
from services.shared.config import Settings
from services.shared.db import Database, sqlite_url
from tests.builders import touchpoint
from tests.flow.erasing import ANNA, Erased, erased, sent
from tests.flow.journey_room import NOW_US, Journey, running, settings_of
from tests.parts.installation import embedded
from tests.parts.postgres import Postgres


def of_kind(receipt: Erased, kind: str) -> list[tuple[str, str]]:
    return [(copy["place"], copy["why"]) for copy in receipt["copies"] if copy["kind"] == kind]


def test_backups_that_hold_the_person_are_named(tmp_path: Path) -> None:
    data, before, after = tmp_path / "data", tmp_path / "before", tmp_path / "after"
    with embedded(tmp_path) as started, closing(started.journeys[0].service()) as service:
        service.get("/v1/persons/customer_id:anna-secret", after=sent(started, ANNA))
        made = [back_up(data, before, epoch_of, system_clock, lambda done, total: None)]
        receipt = erased(service, service.delete("/v1/persons/customer_id:anna-secret"))
        made.append(back_up(data, after, epoch_of, system_clock, lambda done, total: None))
        backups.remember(data, Backup("x", str(tmp_path / "a generation later"), "2100-01-01T00:00:00Z"))
        assert of_kind(receipt, "backup") == [(str(before), "made before everything was removed")]
        receipt = service.get(f"/v1/erasures/{receipt['id']}")
        assert [place for place, _ in of_kind(receipt, "backup")] == [str(before), str(after)]
        assert [copy["made_at"] for copy in receipt["copies"]] == [one.made_at for one in made]
        assert of_kind(receipt, "backup")[1][1].startswith("made afterwards: ")
        assert of_kind(receipt, "postgresql") == of_kind(receipt, "rebuild") == []


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return settings_of(tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return settings_of(tmp_path, database=server.new_database())


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    url = sqlite_url(settings.data / "journey.db") if settings.embedded_database else settings.database
    with closing(Database(url, "" if settings.embedded_database else "journey")) as one:
        yield one


class Interrupted(Exception):
    pass


def interrupt(done: int, total: int | None, doing: str) -> None:
    raise Interrupted


def receipt_of(room: Journey, id: str) -> Any:
    return room.get(f"/v1/erasures/{id}")


def test_an_interrupted_rebuild_is_named_and_so_is_what_postgresql_keeps(settings: Settings, database: Database) -> None:
    with running(settings, database) as room:
        room.post(touchpoint("1", 0, "customer_id:anna"))
        room.person("customer_id:anna")
        with pytest.raises(Interrupted):
            rebuild(settings, database, room.bus, interrupt)
        id = room.erase("customer_id:anna")
        assert receipt_of(room, id)["applied_at"] == format_time(NOW_US)
        place = "schema journey_rebuild" if database.is_postgres else str(settings.data / "journey-rebuild.db")
        assert [place for place, _ in of_kind(receipt_of(room, id), "rebuild")] == [place]
        rebuild(settings, database, room.bus, lambda done, total, doing: None)
        assert of_kind(receipt_of(room, id), "rebuild") == []
        kept = [place for place, _ in of_kind(receipt_of(room, id), "postgresql")]
        assert kept == (["dead rows", "write-ahead log", "backups and replicas"] if database.is_postgres else [])
        assert room.ask("/v1/persons/customer_id:anna", {}).json()["code"] == "unknown_person"
        room.post(touchpoint("1", 0, "customer_id:anna"), touchpoint("2", 0, "customer_id:anna"))
        assert room.ask("/v1/persons/customer_id:anna", {}).json()["code"] == "unknown_person"
        assert room.get("/v1/check/journey", sample="all")["mismatches"] == 0
