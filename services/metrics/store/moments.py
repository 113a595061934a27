"""Facts in the order of the moments at which they take effect, for the evidence of a number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import NamedTuple

from sqlalchemy import Connection

from schemas.facts import Fact
from services.metrics.domain.measures import effect_times
from services.metrics.store.facts import SEVERAL_DAYS, fact_of
from services.shared.db import Database

BATCH = 200
"""Facts read at a time of each kind."""


class Place(NamedTuple):
    """Where a fact stands in the order: one of its moments, and its key."""

    at_us: int
    partition: int
    person_id: str
    month: str
    key: str


class Met(NamedTuple):
    """A fact, met at its first moment in the range that was asked for."""

    place: Place
    identified: bool
    fact: Fact


_LAST = ("fact f", "f.until_us", "f.kind = :kind")
_EARLIER = (
    "effect e JOIN fact f ON f.partition = e.partition AND f.person_id = e.person_id AND f.month = e.month AND f.key = e.key",
    "e.at_us",
    "e.kind = :kind",
)
_Row = tuple[int, int, str, str, str, str, bool]


def facts_between(
    database: Database, tx: Connection, kinds: Iterable[str], start_us: int, end_us: int, since: Place | None = None
) -> Iterator[Met]:
    """Facts of these kinds with a moment in [start, end), each once, from the place `since` on (that included).

    Those that take effect within one day are met at their last moment. Memory does not grow with their number.
    """
    first = since or Place(start_us, -1, "", "", "")
    sources = [(_LAST, kind) for kind in kinds] + [(_EARLIER, kind) for kind in kinds if kind in SEVERAL_DAYS]
    for row in merge(*(_pages(database, tx, _sql(*source), kind, first, end_us) for source, kind in sources)):
        place, fact = Place(*row[:5]), fact_of(row[5])
        if str(type(fact).__struct_config__.tag) not in SEVERAL_DAYS or place.at_us == _first_since(fact, start_us):
            yield Met(place, row[6], fact)


def _first_since(fact: Fact, start_us: int) -> int:
    return next(at_us for at_us in effect_times(fact) if at_us >= start_us)


def _pages(database: Database, tx: Connection, sql: tuple[str, str], kind: str, first: Place, end_us: int) -> Iterator[_Row]:
    begin, go_on = sql
    place, statement = first, begin
    while True:
        given = {"kind": kind, "end": end_us, **place._asdict()}
        page = database.execute(tx, statement, given)
        for row in page:
            yield (*row[:6], bool(row[6]))
        if len(page) < BATCH:
            return
        place, statement = Place(*page[-1][:5]), go_on


def _sql(source: str, at: str, condition: str) -> tuple[str, str]:
    """The first page of a source, and the next ones."""
    alias = at.partition(".")[0]
    key = f"{at}, {alias}.partition, {alias}.person_id, {alias}.month, {alias}.key"
    text = (
        f"SELECT {key}, f.body, m.identified FROM {source} JOIN person_month m "
        "ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month "
        f"WHERE {condition} AND {at} >= :at_us AND {at} < :end "
        f"AND ({key}) {{than}} (:at_us, :partition, :person_id, :month, :key) ORDER BY {key} LIMIT {BATCH}"
    )
    return text.format(than=">="), text.format(than=">")
