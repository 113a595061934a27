"""Times put right anew: by what the stored touchpoints of a clock say, not by what is kept of it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from services.journey.domain.clocks import around, day_of, offset_us
from services.journey.domain.derive import Derived
from services.journey.store.clocks import SOURCE_ITSELF, Clock, Clocks, Day
from services.journey.store.identities import Identities
from services.journey.store.refolding import Derive
from services.journey.store.tables import CLOCK_DAY
from services.shared.db import Database
from services.shared.paging import pages

MAX_KNOWN = 100_000
"""Days of clocks are forgotten once there are so many, so that memory stays bounded."""


class Difference(NamedTuple):
    """The least delay of a clock on a day, as it is kept and as the touchpoints say."""

    what: str
    stored: int | None
    expected: int | None


class Reclock:
    """Answers in the caller's snapshot."""

    def __init__(self, database: Database, tx: Connection, derive: Derive) -> None:
        self._db, self._tx, self._derive = database, tx, derive
        self._clocks, self._identities = Clocks(database), Identities(database)
        self._devices: dict[str, int] = {}
        self._known: dict[Day, int | None] = {}
        self._differing: list[Difference] = []

    def original_us(self, derived: Derived) -> int:
        """When a stored touchpoint happened, by its clock put right."""
        if derived.occurred_us is None:
            return derived.received_us
        clock, day = self._clock(derived), day_of(derived.received_us)
        leasts = {near: least for near in around([day]) if (least := self._least(clock, near)) is not None}
        return derived.occurred_us + offset_us(leasts, day)

    def differing(self) -> list[Difference]:
        """What was found to be kept wrongly of clocks since this was asked last."""
        found, self._differing = self._differing, []
        return found

    def look_at_all(self) -> None:
        """Look at all that is kept of clocks, also of those that no touchpoint is told by any more."""
        for page in pages(self._db, self._tx, CLOCK_DAY, ()):
            for source, device, day in page:
                self._least(Clock(source, device), day)

    def _clock(self, derived: Derived) -> Clock:
        if derived.device is None:
            return Clock(derived.source, SOURCE_ITSELF)
        if derived.device not in self._devices:
            self._forget_much()
            self._devices.update((row.name, row.id) for row in self._identities.read(self._tx, [derived.device]))
        return Clock(derived.source, self._devices[derived.device])

    def _least(self, clock: Clock, day: int) -> int | None:
        if (clock, day) not in self._known:
            self._forget_much()
            stored = [self._derive(found.body) for found in self._clocks.touchpoints(self._tx, [(clock, day)])]
            delays = [one.delay_us for one in stored if one.delay_us is not None and self._clock(one) == clock]
            least_us = self._known[clock, day] = min(delays, default=None)
            kept_us = self._clocks.leasts(self._tx, {clock: (day, day)}).get(clock, {}).get(day)
            if kept_us != least_us:
                self._differing.append(Difference(f"clock {clock.source}/{clock.device} on day {day}", kept_us, least_us))
        return self._known[clock, day]

    def _forget_much(self) -> None:
        if len(self._known) + len(self._devices) > MAX_KNOWN:
            self._known, self._devices = {}, {}
