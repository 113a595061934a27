"""What a database meets is told as trouble outside, by whichever way it was called: it is not the fault of the data that was in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table

from services.shared.db import Database, Keys
from services.shared.errors import Contended
from tests.parts.postgres import Postgres

THING = Table("thing", MetaData(), Column("id", Integer, primary_key=True))
Write = Callable[[Database, Connection], object]
WAYS: dict[str, Write] = {
    "append": lambda database, tx: database.append(tx, THING, ("id",), [(1,)]),
    "insert": lambda database, tx: database.insert(tx, THING, ("id",), [(1,)]),
    "delete": lambda database, tx: database.delete(tx, THING, Keys({"id": "bigint"}, [(1,)])),
    "execute": lambda database, tx: database.execute(tx, "SELECT id FROM thing"),
}


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[Database]:
    with closing(Database(postgres.new_database(), "room")) as made:
        with made.preparing() as tx:
            THING.metadata.create_all(tx)
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_a_lock_that_cannot_be_had_is_contention(database: Database, way: str) -> None:
    with database.transaction() as other:
        database.execute(other, "LOCK TABLE thing")
        with pytest.raises(Contended):
            _write_without_patience(database, WAYS[way])


def _write_without_patience(database: Database, write: Write) -> None:
    with database.transaction() as tx:
        database.execute(tx, "SET LOCAL lock_timeout = 1")
        write(database, tx)
