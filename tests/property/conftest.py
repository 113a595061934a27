"""Journey's store on either database: one for all tests of a file, which empty it themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from services.shared.db import Database
from tests.parts.postgres import Postgres
from tests.property.journey_store import Store


@pytest.fixture(scope="module")
def sqlite() -> Iterator[Store]:
    with closing(Database("sqlite+pysqlite://")) as database:
        yield Store(database)


@pytest.fixture(scope="module")
def postgresql(postgres: Postgres) -> Iterator[Store]:
    with closing(Database(postgres.new_database(), "journey")) as database:
        yield Store(database)
