"""The least delay that each clock showed on each day of receipt (docs/decisions/0012), and the stored touchpoints of a clock's day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from schemas.times import DAY_US
from services.journey.store.tables import CLOCK_DAY
from services.journey.store.touchpoints import Kept
from services.shared.db import Database, Keys

SOURCE_ITSELF = 0
"""In the place of a device: no identity has this number."""


class Clock(NamedTuple):
    """A device, as an identity, in the eyes of one source; or the source itself."""

    source: str
    device: int


Day = tuple[Clock, int]
"""A clock on a UTC day of receipt."""
Leasts = dict[Clock, dict[int, int]]
"""The least delay of clocks, by day; a day without any is missing."""


class Found(NamedTuple):
    """A stored touchpoint with all that is needed to take it out and in again."""

    kept: Kept
    original_us: int
    has_copies: bool
    body: bytes


class Clocks:
    """Reads and writes in the caller's transaction.

    A device's clock is guarded by the lock of the device's identity. A source's own has a lock of its own, which is taken before
    any identity's: shared by all who store touchpoints by that clock, held alone by who changes what it is put right by.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def lock(self, tx: Connection, sources: Collection[str], alone: Collection[str]) -> None:
        """Lock the clocks of these sources, in one order for everybody; those of `alone` for nobody else."""
        if not self._db.is_postgres or not sources:
            return
        self._db.execute(
            tx,
            "SELECT CASE WHEN o.alone THEN pg_advisory_xact_lock(7462, o.key)::text ELSE pg_advisory_xact_lock_shared(7462, o.key)::text "
            "END FROM (SELECT hashtext(k.source) AS key, max(k.alone) = 1 AS alone FROM {k} GROUP BY 1 ORDER BY 1) AS o",
            k=Keys({"source": "text", "alone": "smallint"}, [(source, int(source in alone)) for source in sorted(sources)]),
        )

    def leasts(self, tx: Connection, spans: Mapping[Clock, tuple[int, int]]) -> Leasts:
        """What is kept of clocks, each from a first through a last day."""
        if not spans:
            return {}
        rows = self._db.execute(
            tx,
            "SELECT c.source, c.device_id, c.day, c.least_us FROM {k} JOIN clock_day c "
            "ON c.source = k.source AND c.device_id = k.device AND c.day BETWEEN k.first AND k.last",
            k=Keys(
                {"source": "text", "device": "bigint", "first": "bigint", "last": "bigint"},
                [(*clock, *span) for clock, span in spans.items()],
            ),
        )
        found: Leasts = {}
        for source, device, day, least_us in rows:
            found.setdefault(Clock(source, device), {})[day] = least_us
        return found

    def write(self, tx: Connection, changed: Mapping[Day, int | None]) -> None:
        """Keep other leasts; None: nothing is left that says one."""
        gone = [(*clock, day) for (clock, day), least_us in changed.items() if least_us is None]
        self._db.delete(tx, CLOCK_DAY, Keys({"source": "text", "device_id": "bigint", "day": "bigint"}, gone))
        self._db.insert(
            tx,
            CLOCK_DAY,
            ("source", "device_id", "day", "least_us"),
            [(*clock, day, least_us) for (clock, day), least_us in sorted(changed.items()) if least_us is not None],
            "ON CONFLICT (source, device_id, day) DO UPDATE SET least_us = excluded.least_us",
        )

    def touchpoints(self, tx: Connection, days: Collection[Day]) -> list[Found]:
        """The stored touchpoints that may be of these clocks and days: a device's are among those that name it, which the caller sorts out."""
        columns = "p.source, p.id, p.anchor_id, p.set_id, p.owner_id, p.time_us, p.received_us, p.original_us, p.has_copies, p.body FROM {k}"
        shown = {"source": "text", "device": "bigint", "from_us": "bigint", "to_us": "bigint"}
        devices = [(*clock, day * DAY_US, (day + 1) * DAY_US) for clock, day in days if clock.device != SOURCE_ITSELF]
        sources = [(*clock, day * DAY_US, (day + 1) * DAY_US) for clock, day in days if clock.device == SOURCE_ITSELF]
        found: list[Row[*tuple[Any, ...]]] = []
        if devices:
            found += self._db.execute(
                tx,
                f"SELECT {columns} JOIN membership m ON m.identity_id = k.device JOIN touchpoint p ON p.set_id = m.set_id "
                "WHERE p.time_us < k.to_us AND p.received_us >= k.from_us AND p.received_us < k.to_us AND p.source = k.source",
                k=Keys(shown, devices),
            )
        if sources:
            found += self._db.execute(
                tx,
                f"SELECT {columns} JOIN touchpoint p ON p.source = k.source "
                "AND p.received_us >= k.from_us AND p.received_us < k.to_us WHERE p.without_device",
                k=Keys(shown, sources),
            )
        return [Found(Kept(*row[:7]), row[7], bool(row[8]), bytes(row[9])) for row in found]
