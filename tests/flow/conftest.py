"""Rooms that several files of tests use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.shared.db import Database, sqlite_url
from tests.flow.ingest_room import KEY, Ingest
from tests.flow.journey_room import Journey, running, settings_of
from tests.parts.postgres import Postgres


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def consuming(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    """Ingest with its consumer at work, on either database."""
    more: dict[str, Any] = {}
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        more = {"database": postgres.new_database(), "write_keys": f"shop={KEY}"}
    with closing(Ingest(tmp_path_factory.mktemp("ingest"), **more)) as ingest:
        ingest.room.start()
        yield ingest


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Journey's, of either kind."""
    if request.param == "sqlite":
        with closing(Database(sqlite_url(tmp_path / "journey.db"))) as one:
            yield one
    else:
        server: Postgres = request.getfixturevalue("postgres")
        with closing(Database(server.new_database(), schema="journey")) as one:
            yield one


@pytest.fixture
def journey(tmp_path: Path, database: Database) -> Iterator[Journey]:
    """The running room on either database."""
    with running(settings_of(tmp_path), database) as room:
        yield room
