"""Who is set aside, and why. All in the caller's snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from sqlalchemy import Connection

from services.shared.db import Database

Reason = Literal["too_many_touchpoints", "record_too_large"]
REASONS: tuple[Reason, ...] = get_args(Reason)


class SetAside(NamedTuple):
    """A person who is set aside; `largest_bytes` is the size of the largest month that is too large for the bus."""

    person_id: str
    name: str
    touchpoints: int
    reason: Reason
    largest_bytes: int | None


class Aside:
    """Answers about people who are set aside."""

    def __init__(self, database: Database, tx: Connection) -> None:
        self._db, self._tx = database, tx

    def listed(self, after: str | None, limit: int) -> list[SetAside]:
        """By person_id, those after one."""
        rows = self._db.execute(
            self._tx,
            "SELECT p.person_id, i.name, p.touchpoints, p.suspected_bot, "
            "(SELECT max(t.bytes) FROM too_large t WHERE t.root_id = p.root_id) FROM person p JOIN identity i ON i.id = p.root_id "
            "WHERE (p.suspected_bot OR p.too_large) AND p.person_id > CAST(:after AS text) ORDER BY p.person_id LIMIT :limit",
            {"after": after or "", "limit": limit},
        )
        return [SetAside(row[0], row[1], row[2], REASONS[0] if row[3] else REASONS[1], row[4]) for row in rows]

    def counts(self) -> Mapping[Reason, int]:
        """How many there are."""
        rows = self._db.execute(
            self._tx, "SELECT suspected_bot, count(*) FROM person WHERE suspected_bot OR too_large GROUP BY suspected_bot"
        )
        found = {bool(row[0]): row[1] for row in rows}
        return {REASONS[0]: found.get(True, 0), REASONS[1]: found.get(False, 0)}
