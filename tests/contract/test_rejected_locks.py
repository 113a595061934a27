"""A record that is being stored while somebody is erased is not left behind: two real PostgreSQL sessions, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import monotonic

import pytest

from services.ingest.domain.kept import Kept
from services.ingest.migrations import HISTORY
from services.ingest.store.erased import Erase, Erased
from services.ingest.store.rejected import RejectedRecords, Wanted
from services.shared.db import Database, postgres_url
from services.shared.migrating import migrate
from tests.parts.postgres import Postgres

PATIENCE_S = 30.0
BODY = b'{"identities": {"email": "ann@a.example"}}'
RECORD = Kept("r-1", 5, "shop", "c", "m", "", "ingest", None, None, None, None, 0, None, None, BODY, len(BODY), "0" * 64)
ERASE = Erase("k-1", ["email:ann@a.example"], 10)


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Database]:
    with closing(Database(postgres_url(postgres.new_database()), schema="ingest")) as opened:
        migrate(opened, HISTORY)
        yield opened


def store(database: Database) -> None:
    erased = Erased(database)
    with database.transaction() as tx:
        erased.lock(tx, erasing=False)
        RejectedRecords(database).put(tx, erased.keepable(tx, [RECORD]))


def erase(database: Database) -> None:
    erased = Erased(database)
    with database.transaction() as tx:
        erased.lock(tx, erasing=True)
        erased.erase(tx, ERASE)


def someone_waits(database: Database) -> bool:
    with database.snapshot() as tx:
        return bool(database.execute(tx, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


@pytest.mark.parametrize("erases_first", [True, False])
def test_whichever_comes_first_the_other_sees_it(database: Database, erases_first: bool) -> None:
    erased, records = Erased(database), RejectedRecords(database)
    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as tx:
            erased.lock(tx, erasing=erases_first)
            if erases_first:
                erased.erase(tx, ERASE)
            else:
                records.put(tx, erased.keepable(tx, [RECORD]))
            other = threads.submit(store if erases_first else erase, database)
            give_up = monotonic() + PATIENCE_S
            while not someone_waits(database):
                assert monotonic() < give_up, "nobody waits"
        other.result(PATIENCE_S)
    with database.transaction() as tx:
        assert records.page(tx, Wanted(), None, 10) == []
        assert [(one.command, one.removed) for one in erased.unsaid(tx)] == [("k-1", 1)]


def test_two_that_store_do_not_wait_for_each_other(database: Database) -> None:
    with database.transaction() as tx, ThreadPoolExecutor(1) as threads:
        Erased(database).lock(tx, erasing=False)
        threads.submit(store, database).result(PATIENCE_S)
