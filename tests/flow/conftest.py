"""Rooms that several files of tests use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.flow.ingest_room import KEY, Ingest
from tests.parts.postgres import Postgres


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def consuming(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    """Ingest with its consumer at work, on either database."""
    more: dict[str, Any] = {}
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        more = {"database": postgres.new_database(), "write_keys": f"shop={KEY}"}
    with closing(Ingest(tmp_path_factory.mktemp("ingest"), **more)) as running:
        running.room.start()
        yield running
