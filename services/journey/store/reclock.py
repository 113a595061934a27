"""Times put right anew: by what the stored touchpoints of a clock say, not by what is kept of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Set
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

    def learn(self, touchpoints: Collection[Derived]) -> None:
        """Read at once what tells the times of these, but for the clocks of sources themselves: those are many people's."""
        self._forget_much()
        self._learn_devices({one.device for one in touchpoints if one.device is not None})
        timed = [one for one in touchpoints if one.device is not None and one.occurred_us is not None]
        self._look({(self._clock(one), near) for one in timed for near in around([day_of(one.received_us)])} - self._known.keys())

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
        self._learn_devices({derived.device})
        return Clock(derived.source, self._devices[derived.device])

    def _learn_devices(self, names: Set[str]) -> None:
        if unknown := names - self._devices.keys():
            self._forget_much()
            self._devices.update((row.name, row.id) for row in self._identities.read(self._tx, unknown))

    def _least(self, clock: Clock, day: int) -> int | None:
        if (clock, day) not in self._known:
            self._forget_much()
            self._look({(clock, day)})
        return self._known[clock, day]

    def _look(self, days: Set[Day]) -> None:
        """What the touchpoints say of clocks on days, and whether that is what is kept."""
        delays = defaultdict[Day, list[int]](list)
        for found in self._clocks.touchpoints(self._tx, days):
            one = self._derive(found.body)
            if one.delay_us is not None:
                delays[self._clock(one), day_of(found.kept.received_us)].append(one.delay_us)
        spans: dict[Clock, tuple[int, int]] = {}
        for clock, day in days:
            first, last = spans.get(clock, (day, day))
            spans[clock] = min(first, day), max(last, day)
        kept = self._clocks.leasts(self._tx, spans)
        for clock, day in sorted(days):
            least_us = self._known[clock, day] = min(delays.get((clock, day), ()), default=None)
            kept_us = kept.get(clock, {}).get(day)
            if kept_us != least_us:
                self._differing.append(Difference(f"clock {clock.source}/{clock.device} on day {day}", kept_us, least_us))

    def _forget_much(self) -> None:
        if len(self._known) + len(self._devices) > MAX_KNOWN:
            self._known, self._devices = {}, {}
