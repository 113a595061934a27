"""Three journey processes that keep getting into each other's way: sign-ins that move histories, handles that everybody has, a device with more
users than a handle may have, members that join, leave, stand still and die, deadlocks and serialisation failures.

`--merges 20000` makes the device one with 1,000 users, and everything longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.request import urlopen

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import make_url

from schemas.times import MINUTE_US, format_time
from tests.builders import START_US
from tests.faults.account import Account, Body
from tests.faults.armed import ISOLATION
from tests.faults.service import distributed, service, until
from tests.parts.installation import Installation
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres
from tests.parts.processes import Process

SIZE = 40
"""Touchpoints in a request."""
SHARES = 20
"""A twentieth of the touchpoints signs somebody else in on the one device; over `LIMIT` of them, it identifies nobody."""
LIMIT = 15
LOCK = "SELECT 1 FROM journey.identity WHERE name = %s FOR NO KEY UPDATE"
CHANGE = "UPDATE journey.identity SET customers = customers WHERE name = %s"
NOT_SERIALISED = "could not serialize access"
COUNTED = ("touchpoints", "orders", "gross_revenue")


@pytest.fixture
def merges(pytestconfig: pytest.Config) -> int:
    count: int = pytestconfig.getoption("--merges")
    return count


def merging(count: int) -> list[list[Body]]:
    """Requests of touchpoints of which every tenth is a sign-in, half of those on the device of all; visitors and mailboxes have several
    customers each, and time goes to and fro."""
    rng, bodies = Random(count), list[Body]()
    for n in range(count):
        identities = {"anonymous_id": f"v-{rng.randrange(30)}"}
        if n % SHARES == 0:
            identities |= {"customer_id": f"user-{n}", "device_id": "of-all"}
        elif n % 10 == 0:
            identities |= {"customer_id": f"c-{rng.randrange(20)}"}
        elif n % 4 == 0:
            identities |= {"email": f"family-{rng.randrange(4)}@example.com"}
        elif n % 5 == 0:
            identities = {"device_id": "of-all"}
        at_us = START_US + rng.randrange(count) * MINUTE_US
        body: Body = {"id": f"m-{n}", "type": "page_viewed", "occurred_at": format_time(at_us), "identities": identities}
        if n % 7 == 0:
            body |= {"type": "order_completed", "order": {"order_id": f"o-{n}", "amount": "10.50", "currency": "EUR"}}
        bodies.append(body)
    return [bodies[start : start + SIZE] for start in range(0, count, SIZE)]


def test_members_come_and_go_under_a_load_of_merges(merges: int, kafka: Kafka, postgres: Postgres, tmp_path: Path) -> None:
    """Batches are in flight whenever the group changes; deadlocks are made to happen."""
    with _three(kafka, postgres, tmp_path) as (at, database):
        account = Account(at, COUNTED)
        first, second, third = map(service, at.journeys)
        changes: list[Callable[[], object]] = [
            third.stop,
            third.start,
            second.kill9,
            second.start,
            first.freeze,
            lambda: third.kill9(),
            third.start,
            first.thaw,
        ]
        requests = merging(merges)
        _send(account, requests[: len(requests) // 2], changes)
        until(lambda: _deadlock(account, database), "journey never has to give way".format)
        _send(account, requests[len(requests) // 2 :], changes)
        account.settle()
        for process in at.journeys:
            service(process).ready()
        assert _deadlocks(database) > 0
        assert _rejected(at.journeys) == 0


def test_serialisation_failures_are_retried(merges: int, kafka: Kafka, postgres: Postgres, tmp_path: Path) -> None:
    """Under READ COMMITTED, which journey asks for, PostgreSQL has no reason for one; so here it has to serialise."""
    before = postgres.logged(NOT_SERIALISED)
    with _three(kafka, postgres, tmp_path, {ISOLATION: "SERIALIZABLE"}) as (at, database):
        account = Account(at, COUNTED)
        _send(account, merging(merges // 2), [])
        with _in_the_way(account, database, CHANGE) as rival:
            rival.commit()
        account.settle()
        assert postgres.logged(NOT_SERIALISED) > before
        assert _rejected(at.journeys) == 0


@contextmanager
def _three(
    kafka: Kafka, postgres: Postgres, folder: Path, settings: dict[str, str] | None = None
) -> Iterator[tuple[Installation, str]]:
    """An installation with three journey processes, and its database's address."""
    url = postgres.new_database()
    plain = make_url(url).set(drivername="postgresql").render_as_string(False)
    with psycopg.connect(plain, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE \"{make_url(url).database}\" SET deadlock_timeout = '500ms'")
    more = {"WAYPOST_SHARED_HANDLE_CUSTOMERS": str(LIMIT), **(settings or {})}
    with distributed(kafka, url, folder, {"journey": 3}, **more) as at:
        yield at, plain


def _send(account: Account, requests: list[list[Body]], changes: list[Callable[[], object]]) -> None:
    """Everything, over four connections at a time; the changes happen one after the other, while requests are under way."""
    steps = max(1, len(changes))
    with ThreadPoolExecutor(4) as pool:
        for step in range(steps):
            jobs = [pool.submit(account.send_these, request) for request in requests[step::steps]]
            if changes:
                changes[step]()
            for job in jobs:
                job.result()


def _deadlock(account: Account, database: str) -> bool:
    """Another session holds the identity that journey locks second, and then wants the one that journey has locked first; whether it was
    journey that had to give way (a busy machine may be too slow for that)."""
    before = _deadlocks(database)
    with _in_the_way(account, database, LOCK) as rival:
        try:
            rival.execute(LOCK, ("anonymous_id:a-first",))
        except psycopg.errors.DeadlockDetected:
            return False
        finally:
            rival.rollback()
    until(lambda: _deadlocks(database) > before, "there was no deadlock".format)
    return True


@contextmanager
def _in_the_way(account: Account, database: str, statement: str) -> Iterator[psycopg.Connection[tuple[int, ...]]]:
    """A session that locks or changes an identity, while journey waits for that with another in its hands; afterwards everything is counted."""
    known = {"anonymous_id": "a-first", "customer_id": "z-second"}
    body: Body = {"id": "", "type": "page_viewed", "occurred_at": format_time(START_US), "identities": known}
    number = len(account.acknowledged)
    account.send_these([{**body, "id": f"before-{number}"}])
    account.counted()
    with psycopg.connect(database) as rival, psycopg.connect(database, autocommit=True) as watcher:
        rival.execute("SET deadlock_timeout = '5s'")  # so that journey is the one who has to give way
        rival.execute(statement.encode(), ("customer_id:z-second",))
        account.send_these([{**body, "id": f"after-{number}"}])
        waits = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        until(lambda: _number(watcher, waits, rival.info.backend_pid), "journey does not wait".format)
        yield rival
    account.counted()


def _deadlocks(database: str) -> int:
    with psycopg.connect(database, autocommit=True) as connection:
        return _number(connection, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


def _number(connection: psycopg.Connection[tuple[int, ...]], sql: str, *parameters: object) -> int:
    row = connection.execute(sql.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def _rejected(processes: Sequence[Process]) -> float:
    """How many records these processes could not process."""
    found = 0.0
    for process in processes:
        with urlopen(f"{process.url}/metrics", timeout=30) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        found += sum(each.value for family in families if family.name == "waypost_journey_rejected" for each in family.samples)
    return found
