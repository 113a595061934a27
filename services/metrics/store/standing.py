"""Where metrics stands: what every question's answer rests on, in one statement."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from services.metrics.store.generations import Generation
from services.shared.db import Database

_READ = (
    "SELECT g.number, g.hash, w.brought, w.at_ms FROM (SELECT COUNT(*) AS brought, MIN(at_ms) AS at_ms FROM watermark) AS w "
    "LEFT JOIN generation g ON g.live"
)


class Standing(NamedTuple):
    """`live` is None before the first start. So many partitions have brought a watermark; `at_ms`: when the bus took the oldest of them."""

    live: Generation | None
    brought: int
    at_ms: int | None


def read(database: Database, tx: Connection) -> Standing:
    ((number, made_by, brought, at_ms),) = database.execute(tx, _READ)
    return Standing(None if number is None else Generation(number, made_by), brought, at_ms)
