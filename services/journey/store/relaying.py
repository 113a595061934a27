"""The relay's work list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row

from schemas.calendar import month_text
from services.journey.store.people import unpack
from services.journey.store.tables import UNPUBLISHED
from services.shared.db import Database, Keys


class Unpublished(NamedTuple):
    """A month whose newest version is not published yet; `facts` None or empty: it is gone, or its person is set aside."""

    partition: int
    root: int
    month: int
    version: int
    person_id: str
    is_identified: bool
    facts: bytes | None


class UnpublishedMonths:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def read(self, tx: Connection, partitions: Collection[int], limit: int) -> list[Unpublished]:
        """The first `limit` months to publish in these partitions."""
        rows = self._db.execute(
            tx,
            "SELECT u.partition, u.root_id, u.month, u.version, p.person_id, i.name, CASE WHEN p.too_large THEN NULL ELSE m.facts END "
            "FROM unpublished u "
            "JOIN person p ON p.root_id = u.root_id JOIN identity i ON i.id = u.root_id "
            "LEFT JOIN month m ON m.root_id = u.root_id AND m.month = u.month "
            "WHERE u.partition IN (SELECT k.partition FROM {k}) LIMIT :limit",
            {"limit": limit},
            k=Keys({"partition": "bigint"}, [(partition,) for partition in partitions]),
        )
        return [_unpublished(row) for row in rows]

    def count(self, tx: Connection, partitions: Collection[int]) -> int:
        """How many months are to be published in these partitions."""
        keys = Keys({"partition": "bigint"}, [(partition,) for partition in partitions])
        sql = "SELECT count(*) FROM unpublished u WHERE u.partition IN (SELECT k.partition FROM {k})"
        return int(self._db.execute(tx, sql, k=keys)[0][0])

    def done(self, tx: Connection, published: Sequence[Unpublished]) -> None:
        """These versions are on the bus; a month that has a newer one by now stays listed."""
        rows = [(month.partition, month.root, month.month, month.version) for month in published]
        keys = Keys({"partition": "bigint", "root_id": "bigint", "month": "bigint", "version": "bigint"}, rows)
        self._db.delete(tx, UNPUBLISHED, keys)


def record(month: Unpublished) -> bytes:
    """The JSON of a `schemas.facts.PersonMonth`, made from the facts' own JSON."""
    head = f'{{"person_id":"{month.person_id}","month":"{month_text(month.month)}","version":{month.version}'.encode()
    if not month.is_identified:
        head += b',"identified":false'
    facts = msgspec.json.decode(month.facts, type=dict[str, msgspec.Raw]) if month.facts else {}
    if not facts:
        return head + b',"gone":true}'
    return head + b',"facts":[' + b",".join(facts.values()) + b"]}"


def is_identified(root: str) -> bool:
    """Whether a person of this root identity is known by more than an order or a case."""
    return not root.startswith(("order:", "case:"))


def _unpublished(row: Row[*tuple[Any, ...]]) -> Unpublished:
    partition, root, month, version, person_id, name, facts = row
    return Unpublished(
        partition, root, month, version, person_id, is_identified(name), unpack(facts) if facts is not None else None
    )
