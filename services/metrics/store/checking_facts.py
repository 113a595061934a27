"""Whether the rows of metrics' other tables are what the facts and their keys say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from schemas.facts import Fact
from services.metrics.domain.measures import effect_times
from services.metrics.store import filling, generations, paging
from services.metrics.store.facts import SEVERAL_DAYS, fact_of, kind_of
from services.metrics.store.paging import StoredFact
from services.metrics.store.tables import PERSON_MONTH
from services.shared.checked import Checked
from services.shared.db import Database
from services.shared.paging import pages

Effects = set[tuple[str, int, int, str, str, str]]
"""(kind, time, and the fact's key) of each."""


def read_facts(database: Database, tx: Connection, result: Checked) -> Iterator[list[StoredFact]]:
    """Every fact that can be read, in pages; each is compared with its own row, and with its earlier effects."""
    after: Sequence[object] = paging.FIRST
    for page in paging.fact_rows(database, tx):
        readable, effects = [], Effects()
        for row in page:
            with result.reading(row[1], f"fact {row[3]} of {row[2]}"):
                fact = fact_of(row[7])
                effects |= _compare(result, row, fact)
                readable.append(StoredFact(row[0], bool(row[8]), fact))
        _effects(result, _stored_effects(database, tx, after, page[-1][:4]), effects)
        after = page[-1][:4]
        yield readable
    _effects(result, _stored_effects(database, tx, after, filling.END), set())


def _compare(result: Checked, row: Row[*tuple[Any, ...]], fact: Fact) -> Effects:
    """A row with its fact; returns the earlier effects that the fact should have."""
    *key, kind, at_us, until_us, _, identified = row
    *earlier, last = effect_times(fact)
    name = f"fact {row[3]} of {row[2]}"
    result.compare(row[1], f"{name}: key, kind and times", (row[3], kind, at_us, until_us), _named(fact, last))
    result.compare(row[1], f"{name}: its month", "missing" if identified is None else "there", "there")
    return {(kind_of(fact), time, *key) for time in earlier} if kind_of(fact) in SEVERAL_DAYS else set()


def _named(fact: Fact, last: int) -> tuple[str, str, int, int]:
    return fact.key, kind_of(fact), fact.at_us, last


def _stored_effects(database: Database, tx: Connection, after: Sequence[object], until: Sequence[object]) -> Effects:
    bounds = {f"{end}{i}": value for end, place in (("a", after), ("b", until)) for i, value in enumerate(place)}
    rows = database.execute(
        tx,
        "SELECT kind, at_us, partition, person_id, month, key FROM effect WHERE (partition, person_id, month, key) > "
        "(:a0, :a1, :a2, :a3) AND (partition, person_id, month, key) <= (:b0, :b1, :b2, :b3)",
        bounds,
    )
    return {(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows}


def _effects(result: Checked, found: Effects, expected: Effects) -> None:
    for effect in sorted(found ^ expected):
        kind, at_us, _, person_id, month, key = effect
        there = ("there", "missing") if effect in found else ("missing", "there")
        result.compare(person_id, f"{kind} effect at {at_us} of fact {key} of {month}", *there)


def row_checks(database: Database, tx: Connection, result: Checked) -> Iterator[None]:
    """Months, and the list of generations."""
    for page in pages(database, tx, PERSON_MONTH, ("version",)):
        for _, person_id, month, version in page:
            result.compare(person_id, f"version of {month} is above 0", version > 0, True)
        yield None
    _generations(database, tx, result)
    yield None


def _generations(database: Database, tx: Connection, result: Checked) -> None:
    rows = database.execute(tx, "SELECT number, live FROM generation")
    result.compare("", "live generations", sum(bool(row[1]) for row in rows), 1)
    numbers = {row[0] for row in rows}
    for table in ("rollup", "histogram"):
        for number in paging.generations_of(database, tx, table):
            result.compare("", f"generation of rows of {table}", number, number if number in numbers else "one that is listed")
    now = filling.current(database, tx)
    if now is not None:
        known = now.generation in numbers - set(generations.retired(database, tx))
        result.compare(
            "", "generation that is being filled", now.generation if known else f"{now.generation}, not listed", now.generation
        )
