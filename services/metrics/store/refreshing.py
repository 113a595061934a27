"""Brings the columns of stored facts, and their earlier effects, up to what this version says of them.

Another version may let a fact take effect at other times. A rebuild therefore looks at the rows of the facts that it counts; mostly
there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from services.metrics.store.changes import Change
from services.metrics.store.facts import EFFECT_COLUMNS, FACT_COLUMNS, FACT_TYPES, FactRow, row_of
from services.metrics.store.filling import FactKey
from services.metrics.store.tables import EFFECT, FACT
from services.shared.db import Database, Keys

_SAME = " AND ".join(f"t.{name} = k.{name}" for name in FACT_TYPES)
_REPLACE = (
    "ON CONFLICT (partition, person_id, month, key) DO UPDATE SET kind = excluded.kind, at_us = excluded.at_us, "
    "until_us = excluded.until_us"
)


def stale(database: Database, tx: Connection, facts: Iterable[Change]) -> list[FactKey]:
    """Those of these facts whose rows this version would write otherwise."""
    return sorted(_differing(database, tx, [FactKey(*one[:4]) for one in facts if one.sign > 0]))


def refresh(database: Database, tx: Connection, keys: Sequence[FactKey]) -> None:
    """Write those of these rows anew that still differ."""
    if not keys:
        return
    differing = _differing(database, tx, keys)
    database.delete(tx, EFFECT, Keys(FACT_TYPES, sorted(differing)))
    rows = [(*key, *right[:4]) for key, right in sorted(differing.items())]
    database.insert(tx, FACT, FACT_COLUMNS, rows, _REPLACE)
    effects = [(*effect, *key) for key, right in sorted(differing.items()) for effect in right.earlier]
    database.insert(tx, EFFECT, EFFECT_COLUMNS, effects, "ON CONFLICT DO NOTHING")


def _differing(database: Database, tx: Connection, keys: Sequence[FactKey]) -> dict[FactKey, FactRow]:
    """The rows that differ, as they should be."""
    stored = _stored(database, tx, keys)
    return {key: right for key, row in stored.items() if (right := row_of(row.body)) != row}


def _stored(database: Database, tx: Connection, keys: Sequence[FactKey]) -> dict[FactKey, FactRow]:
    table = Keys(FACT_TYPES, sorted(set(keys)))
    columns = ", ".join(f"t.{name}" for name in FACT_TYPES)
    effects: dict[FactKey, list[tuple[str, int]]] = {}
    for row in database.execute(tx, f"SELECT {columns}, t.kind, t.at_us FROM {{k}} CROSS JOIN effect t WHERE {_SAME}", k=table):
        effects.setdefault(FactKey(*row[:4]), []).append((row[4], row[5]))
    rows = database.execute(
        tx, f"SELECT {columns}, t.kind, t.at_us, t.until_us, t.body FROM {{k}} CROSS JOIN fact t WHERE {_SAME}", k=table
    )
    found: dict[FactKey, FactRow] = {}
    for row in rows:
        key = FactKey(*row[:4])
        found[key] = FactRow(row[4], row[5], row[6], row[7], tuple(sorted(effects.get(key, ()))))
    return found
