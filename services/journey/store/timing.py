"""Puts the times of a batch right by the senders' clocks, and finds the stored touchpoints whose times change with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from services.journey.domain.clocks import around, counted_us, day_of, offset_us
from services.journey.domain.derive import Derived
from services.journey.store.clocks import SOURCE_ITSELF, Clock, Clocks, Day, Leasts
from services.journey.store.ownership import NotLocked, Ownership
from services.journey.store.refolding import Derive
from services.journey.store.touchpoints import Incoming, Kept


class Again(NamedTuple):
    """A stored touchpoint that has another time now: what is to be taken out, what comes in instead, and whether it has copies."""

    kept: Kept
    incoming: Incoming
    has_copies: bool


class Timing:
    """Works in the caller's transaction."""

    def __init__(self, clocks: Clocks, derive: Derive) -> None:
        self._clocks, self._derive = clocks, derive

    def lock(self, tx: Connection, batch: Sequence[Incoming], alone: Collection[str]) -> frozenset[str]:
        """Lock the sources whose own clocks the batch is told by, before anything else; returns those that nobody else has now.

        That is `alone`, and what the batch seems to say something new about.
        """
        told = [one.derived for one in batch if one.derived.device is None and _is_clocked(one.derived)]
        sources = {derived.source for derived in told} | set(alone)
        if not sources:
            return frozenset()
        said = _said({}, told)
        kept = self._clocks.leasts(tx, _spans(said))
        news = {clock.source for (clock, day), least in said.items() if least < kept.get(clock, {}).get(day, least + 1)}
        held = frozenset(news | set(alone))
        self._clocks.lock(tx, sources, held)
        return held

    def put_right(
        self,
        tx: Connection,
        ownership: Ownership,
        batch: Sequence[Incoming],
        removed: Mapping[Kept, bytes],
        held: Collection[str],
    ) -> tuple[list[Incoming], list[Again]]:
        """The batch by its senders' clocks, and the stored touchpoints that go by another time from now on; `removed` ones are gone.

        Raises NotLocked if a source's clock would have to be held alone, or one of the touchpoints' identities is not locked.
        """
        ids = ownership.ids
        told = [one.derived for one in batch if _is_clocked(one.derived)]
        lost = [derived for derived in map(self._derive, removed.values()) if derived.delay_us is not None]
        days = {(_clock(ids, derived), day_of(derived.received_us)) for derived in (*told, *lost)}
        spans = {clock: span for clock, span in _spans(days).items() if clock.device not in ownership.fresh}
        before = self._clocks.leasts(tx, spans)
        changed = self._changed(tx, ids, before, _said(ids, told), _said(ids, lost), {kept.reference for kept in removed})
        if unheld := {clock.source for clock, _ in changed if clock.device == SOURCE_ITSELF and clock.source not in held}:
            raise NotLocked(unheld)
        after = _after(before, changed)
        self._clocks.write(tx, changed)
        again = self._again(tx, ownership, before, after, changed, removed)
        return [self._by_clock(one, ids, after) for one in batch] if after else list(batch), again

    def _changed(
        self, tx: Connection, ids: Mapping[str, int], before: Leasts, said: Mapping[Day, int], lost: Mapping[Day, int],
        removed: Collection[tuple[str, str, int]],
    ) -> dict[Day, int | None]:  # fmt: skip
        """The leasts that are others now. Where the least may have been said by what is removed, the rest is asked again."""
        doubtful = {day for day, least in lost.items() if least <= before.get(day[0], {}).get(day[1], least)}
        left = [
            self._derive(found.body)
            for found in (self._clocks.touchpoints(tx, doubtful) if doubtful else ())
            if found.kept.reference not in removed
        ]
        remaining = _said(ids, left)
        changed: dict[Day, int | None] = {}
        for day in said.keys() | doubtful:
            kept = before.get(day[0], {}).get(day[1])
            base = remaining.get(day) if day in doubtful else kept
            least = min((value for value in (base, said.get(day)) if value is not None), default=None)
            if least != kept:
                changed[day] = least
        return changed

    def _again(
        self, tx: Connection, ownership: Ownership, before: Leasts, after: Leasts, changed: Collection[Day], removed: Mapping[Kept, bytes]
    ) -> list[Again]:  # fmt: skip
        """The stored touchpoints that are told by other offsets than before."""
        shifted = {
            (clock, near)
            for clock, near in {(clock, near) for clock, day in changed for near in around([day])}
            if clock.device not in ownership.fresh
            and offset_us(before.get(clock, {}), near) != offset_us(after.get(clock, {}), near)
        }
        if not shifted:
            return []
        taken = {kept.reference for kept in removed}
        found = [one for one in self._clocks.touchpoints(tx, shifted) if one.kept.reference not in taken]
        if found:
            ownership.admit(tx, {one.kept.set_id for one in found})
        again = {}
        for one in found:
            incoming = self._by_clock(Incoming(self._derive(one.body), one.body), ownership.ids, after)
            if incoming.derived.original_us != one.original_us and _place(ownership.ids, incoming.derived) in shifted:
                again[one.kept.reference] = Again(one.kept, incoming, one.has_copies)
        return list(again.values())

    def _by_clock(self, one: Incoming, ids: Mapping[str, int], leasts: Leasts) -> Incoming:
        derived = one.derived
        if derived.occurred_us is None:
            return one
        by_day = leasts.get(_clock(ids, derived))
        shift_us = offset_us(by_day, day_of(derived.received_us)) if by_day else 0
        if not shift_us:
            return one
        original_us = derived.occurred_us + shift_us
        right = replace(derived, original_us=original_us, time_us=counted_us(original_us, derived.received_us))
        return one._replace(derived=right)


def _is_clocked(derived: Derived) -> bool:
    """Whether a touchpoint is told by a sender's clock, or tells of it."""
    return derived.occurred_us is not None or derived.delay_us is not None


def _clock(ids: Mapping[str, int], derived: Derived) -> Clock:
    return Clock(derived.source, ids[derived.device] if derived.device is not None else SOURCE_ITSELF)


def _place(ids: Mapping[str, int], derived: Derived) -> Day:
    return _clock(ids, derived), day_of(derived.received_us)


def _said(ids: Mapping[str, int], told: Collection[Derived]) -> dict[Day, int]:
    """The least delay of each clock and day among these."""
    least: dict[Day, int] = {}
    for derived in told:
        if derived.delay_us is not None:
            place = _place(ids, derived)
            least[place] = min(least.get(place, derived.delay_us), derived.delay_us)
    return least


def _spans(days: Collection[Day]) -> dict[Clock, tuple[int, int]]:
    """For each clock all the days on which these depend, or which depend on these."""
    spans: dict[Clock, tuple[int, int]] = {}
    for clock, day in days:
        first, last = spans.get(clock, (day - 2, day + 2))
        spans[clock] = min(first, day - 2), max(last, day + 2)
    return spans


def _after(before: Leasts, changed: Mapping[Day, int | None]) -> Leasts:
    after = {clock: dict(leasts) for clock, leasts in before.items()}
    for (clock, day), least_us in changed.items():
        if least_us is None:
            after[clock].pop(day)
        else:
            after.setdefault(clock, {})[day] = least_us
    return after
