"""Brings the columns of stored facts, and their earlier effects, up to what this version says of them.

Another version may let a fact take effect at other times. A rebuild therefore looks at the rows of the facts that it counts; mostly
there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.metrics.domain.measures import effect_times
from services.metrics.store.changes import Change
from services.metrics.store.facts import SEVERAL_DAYS, fact_of, kind_of
from services.metrics.store.filling import FactKey
from services.metrics.store.tables import EFFECT, FACT
from services.shared.db import Database, Keys

_KEY = {"partition": "integer", "person_id": "text", "month": "text", "key": "text"}
_SAME = " AND ".join(f"t.{name} = k.{name}" for name in _KEY)
_COLUMNS = (*_KEY, "kind", "at_us", "until_us", "body")
_REPLACE = (
    "ON CONFLICT (partition, person_id, month, key) DO UPDATE SET kind = excluded.kind, at_us = excluded.at_us, "
    "until_us = excluded.until_us"
)


class _Row(NamedTuple):
    """A fact as its row and its effects have it."""

    kind: str
    at_us: int
    until_us: int
    body: str
    earlier: frozenset[tuple[str, int]]


def stale(database: Database, tx: Connection, facts: Iterable[Change]) -> list[FactKey]:
    """Those of these facts whose rows this version would write otherwise."""
    return sorted(_differing(database, tx, [FactKey(*one[:4]) for one in facts if one.sign > 0]))


def refresh(database: Database, tx: Connection, keys: Sequence[FactKey]) -> None:
    """Write those of these rows anew that still differ."""
    if not keys:
        return
    differing = _differing(database, tx, keys)
    database.delete(tx, EFFECT, Keys(_KEY, sorted(differing)))
    rows = [(*key, *right[:4]) for key, right in sorted(differing.items())]
    database.insert(tx, FACT, _COLUMNS, rows, _REPLACE)
    effects = [(kind, at_us, *key) for key, right in sorted(differing.items()) for kind, at_us in sorted(right.earlier)]
    database.insert(tx, EFFECT, ("kind", "at_us", *_KEY), effects, "ON CONFLICT DO NOTHING")


def _differing(database: Database, tx: Connection, keys: Sequence[FactKey]) -> dict[FactKey, _Row]:
    """The rows that differ, as they should be."""
    stored = _stored(database, tx, keys)
    return {key: right for key, row in stored.items() if (right := _right(row.body)) != row}


def _stored(database: Database, tx: Connection, keys: Sequence[FactKey]) -> dict[FactKey, _Row]:
    table = Keys(_KEY, sorted(set(keys)))
    columns = ", ".join(f"t.{name}" for name in _KEY)
    effects: dict[FactKey, set[tuple[str, int]]] = {}
    for row in database.execute(tx, f"SELECT {columns}, t.kind, t.at_us FROM {{k}} CROSS JOIN effect t WHERE {_SAME}", k=table):
        effects.setdefault(FactKey(*row[:4]), set()).add((row[4], row[5]))
    rows = database.execute(
        tx, f"SELECT {columns}, t.kind, t.at_us, t.until_us, t.body FROM {{k}} CROSS JOIN fact t WHERE {_SAME}", k=table
    )
    found: dict[FactKey, _Row] = {}
    for row in rows:
        key = FactKey(*row[:4])
        found[key] = _Row(row[4], row[5], row[6], row[7], frozenset(effects.get(key, ())))
    return found


def _right(body: str) -> _Row:
    fact = fact_of(body)
    *earlier, until_us = effect_times(fact)
    kind = kind_of(fact)
    listed = frozenset((kind, at_us) for at_us in earlier) if kind in SEVERAL_DAYS else frozenset()
    return _Row(kind, fact.at_us, until_us, body, listed)
