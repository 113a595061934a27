"""Who owns the touchpoints of a batch, and which stored touchpoints change hands because of it.

The locks come first (DESIGN.md section 6, concurrency): every identity that a resolution may pass, before or after the batch, is
inserted if absent and locked, level by level, in byte order; whatever is read is read after that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from schemas.identity import is_customer
from services.journey.domain.identity import IdentitySet, Rule, Settled, Sighting, Timed, View, root_at
from services.journey.store.identities import BEGINNING_US, END_US, Identities, Members
from services.journey.store.touchpoints import Kept, Reference, Touchpoints
from services.shared.errors import Contended

MAX_DEPTH = 2
Lockable = int | str
"""An identity by its number, or a source by its name: its own clock."""


class NotLocked(Contended):
    """What a batch touches grew beyond what was locked: roll back, and lock these from the start."""

    def __init__(self, identities: Collection[Lockable]) -> None:
        super().__init__(f"{len(identities)} more identities must be locked")
        self.identities = frozenset(identities)


class Ownership:
    """One batch's view of identities: `lock` first, then `learn` its sets, then ask `owner_of` and `moved`."""

    def __init__(self, identities: Identities, touchpoints: Touchpoints, limit: int) -> None:
        self._identities, self._touchpoints = identities, touchpoints
        self.view = View(limit)
        self.ids: dict[str, int] = {}
        self.fresh: set[int] = set()
        self._before = self.view
        self._expanded: set[int] = set()
        self._sightings: dict[tuple[int, tuple[int, int]], Sequence[Sighting]] = {}
        self._windows: dict[int, tuple[int, int]] = {}

    # -- locking and learning -----------------------------------------------------------------------------------------------

    def lock(self, tx: Connection, together: Collection[Sequence[str]], also: Collection[int] = ()) -> None:
        """Lock the identities of a batch, given as the ranked identities of its touchpoints, and all that their ownership hangs on."""
        names = {name for identities in together for name in identities}
        fresh = self._identities.make(tx, names)
        for row in self._identities.lock(tx, names):
            self.view.identities[row.id] = row
            self.ids[row.name] = row.id
            if row.name in fresh:
                self.fresh.add(row.id)
        if also:
            self._lock_more(tx, also)
        changing = {
            self.ids[name] for identities in together if is_customer(identities[0]) for name in self._strangers(identities)
        }
        frontier = set(self.ids.values()) | set(also)
        for depth in range(MAX_DEPTH + 1):
            handles = [handle for handle in frontier if self._is_open(handle, depth) or handle in changing or handle in also]
            frontier = self._expand(
                tx, [handle for handle in handles if handle not in self.fresh and handle not in self._expanded]
            )
            if not frontier:
                break
            self._lock_more(tx, frontier)
        self._lock_more(tx, {known.customer for known in self.view.identities.values() if known.customer is not None})

    def learn(self, tx: Connection, together: Iterable[Sequence[str]]) -> dict[Members, IdentitySet]:
        """The sets of identities that the batch's touchpoints show, made where they are new; the view is of after the batch from now on."""
        wanted = {tuple(self.ids[name] for name in identities): is_customer(identities[0]) for identities in together}
        sets, made = self._identities.intern(tx, wanted)
        self._before = self.view.copy() if made else self.view
        for one in sets.values():
            self.view.add_set(one)
        self._recount(
            tx, {member for one in made if one.customer is not None for member in one.members if member != one.customer}
        )
        return sets

    def forget(self, tx: Connection, sets: Collection[int]) -> None:
        """Sets that lost a touchpoint: without any left they are no evidence any more."""
        unused = self._identities.drop_unused_sets(tx, sets)
        if not unused:
            return
        gone = [self.view.sets[set_id] for set_id in unused if set_id in self.view.sets]
        kept = [one for one in self.view.sets.values() if one.id not in unused]
        fresh = View(self.view.limit)
        fresh.identities = dict(self.view.identities)
        for one in kept:
            fresh.add_set(one)
        self.view = fresh
        self._recount(tx, {member for one in gone for member in one.members if member != one.customer}, even_shared=True)

    def require_known(self, identities: Collection[int]) -> None:
        """Raises NotLocked unless these are locked and all sets of the handles among them are known."""
        unknown = [id for id in identities if id not in self.view.identities or not self._is_known(id)]
        if unknown:
            raise NotLocked(unknown)

    def admit(self, tx: Connection, sets: Collection[int]) -> None:
        """Stored touchpoints of these sets join the batch. Raises NotLocked unless their identities are locked and known."""
        members = {member for one in self._identities.sets(tx, sets) for member in one.members}
        self.require_known(members)
        self.ids.update((self.view.identities[member].name, member) for member in members)

    def require(self, roots: Collection[int]) -> None:
        """Raises NotLocked unless all these people are locked."""
        if missing := [root for root in roots if root not in self.view.identities]:
            raise NotLocked(missing)

    # -- answers ------------------------------------------------------------------------------------------------------------

    def settled_owner(self, one: IdentitySet) -> int | None:
        """The owner of a set's touchpoints, if it is the same at all times."""
        if one.customer is not None:
            return one.customer
        rule = self.view.rule(self.view.anchor(one))
        return rule.root if isinstance(rule, Settled) else None

    def moved(self, tx: Connection, changed: Sequence[tuple[int, int]]) -> dict[Reference, tuple[Kept, int]]:
        """The stored touchpoints whose owner is another now, with that owner; `changed` are (set, time) of those that came or went.

        Ask after the batch's touchpoints are stored: those without an owner yet (0) are among the answers.
        """
        windows = self._dirty(tx, changed)
        found: dict[Reference, tuple[Kept, int]] = {}
        for handle, (from_us, to_us) in windows.items():
            sets = [one.id for one in self._anchored_at(handle)]
            kept = self._touchpoints.in_sets(tx, sets, from_us, to_us) if sets else []
            self._see(kept)
            for one in kept:
                owner = self._owner_at(tx, self.view.sets[one.set_id], one.time_us)
                if owner != one.owner:
                    found[one.reference] = (one, owner)
        return found

    # -- inside -------------------------------------------------------------------------------------------------------------

    def _strangers(self, identities: Sequence[str]) -> list[str]:
        """The handles of a touchpoint with a customer that were not known to be that customer's only."""
        customer = self.ids[identities[0]]
        return [name for name in identities[1:] if self.view.identities[self.ids[name]].customer != customer]

    def _is_known(self, identity: int) -> bool:
        """Whether all sets of an identity are in the view (of a customer, none are needed)."""
        is_fresh = identity in self.fresh or is_customer(self.view.identities[identity].name)
        return is_fresh or identity in self._expanded

    def _is_open(self, handle: int, depth: int) -> bool:
        """Whether the sets of a handle matter: it was seen with no customer (then its company decides), or with several."""
        known = self.view.identities.get(handle)
        if known is None or is_customer(known.name) or known.customers == 1 or self.view.is_shared(handle):
            return False
        return known.customers > 1 or depth < MAX_DEPTH

    def _expand(self, tx: Connection, handles: Collection[int]) -> set[int]:
        """Learn the sets of these handles; returns the identities in them that are not locked yet."""
        if not handles:
            return set()
        self._expanded.update(handles)
        found: set[int] = set()
        for one in self._identities.sets_of(tx, handles):
            self.view.add_set(one)
            found.update(one.members)
        return found - self._expanded

    def _lock_more(self, tx: Connection, ids: Collection[int]) -> None:
        missing = [id for id in ids if id not in self.view.identities]
        if missing:
            self.view.identities.update((row.id, row) for row in self._identities.lock_ids(tx, missing))

    def _recount(self, tx: Connection, handles: Collection[int], *, even_shared: bool = False) -> None:
        uncounted = [handle for handle in handles if even_shared or not self.view.is_shared(handle)]
        if uncounted:
            if self._before is self.view:
                self._before = self.view.copy()
            self.view.identities.update((row.id, row) for row in self._identities.recount(tx, uncounted))

    def _dirty(self, tx: Connection, changed: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
        """The handles whose answer may have changed, with the times for which it may have."""
        times: dict[int, list[int]] = {}
        for set_id, time_us in changed:
            times.setdefault(set_id, []).append(time_us)
        windows: dict[int, tuple[int, int]] = {}
        for handle, known in self.view.identities.items():
            if is_customer(known.name):
                continue
            rule = self.view.rule(handle)
            if self._changed(handle, rule):
                windows[handle] = (BEGINNING_US, END_US)
            elif isinstance(rule, Timed):
                sets = {*rule.sets, *(one.id for one in self._anchored_at(handle))}
                if handle in self.fresh or self._bridges_touched(handle, rule, times):
                    windows[handle] = (BEGINNING_US, END_US)
                elif touched := [time_us for set_id in sets for time_us in times.get(set_id, ())]:
                    windows[handle] = self._window(tx, rule, min(touched), max(touched))
        return windows

    def _changed(self, handle: int, rule: Rule) -> bool:
        """Whether a handle that had touchpoints before the batch has another rule now, or decides over other touchpoints."""
        if self._before is self.view or handle in self.fresh:
            return False
        return self._before.rule(handle) != rule or any(
            one.id in self._before.sets and _leads(self._before, handle, one) != _leads(self.view, handle, one)
            for one in self.view.sets_of(handle)
        )

    def _window(self, tx: Connection, rule: Timed, first_us: int, last_us: int) -> tuple[int, int]:
        """The times for which sightings from `first_us` to `last_us` may be in effect."""
        around = self._identities.sightings(tx, rule.sets, first_us, last_us)
        later = [sighting.time_us for sighting in around if sighting.time_us > last_us]
        earlier = any(sighting.time_us < first_us for sighting in around)
        return first_us if earlier else BEGINNING_US, min(later) if later else END_US

    def _bridges_touched(self, handle: int, rule: Timed, times: Mapping[int, list[int]]) -> bool:
        """Whether the customer of a handle that this one was seen with depends on a touchpoint of the batch."""
        for set_id in rule.sets:
            bridge = self.view.bridge(handle, self.view.sets[set_id])
            if bridge is not None and any(one.id in times for view in (self._before, self.view) for one in view.sets_of(bridge)):
                return True
        return False

    def _anchored_at(self, handle: int) -> list[IdentitySet]:
        """The sets, without a customer, whose touchpoints this handle decides over, now or before the batch."""
        return [
            one
            for one in self.view.sets_of(handle)
            if one.customer is None
            and (self.view.anchor(one) == handle or (one.id in self._before.sets and self._before.anchor(one) == handle))
        ]

    def _see(self, kept: Sequence[Kept]) -> None:
        """Widen the times for which the sightings of these touchpoints' anchors must be known."""
        for one in kept:
            handle = self.view.anchor(self.view.sets[one.set_id])
            from_us, to_us = self._windows.get(handle, (END_US, BEGINNING_US))
            wider = min(from_us, one.time_us), max(to_us, one.time_us)
            self._windows[handle] = wider

    def _owner_at(self, tx: Connection, one: IdentitySet, time_us: int) -> int:
        def sightings(handle: int) -> Sequence[Sighting]:
            window = self._windows[handle] if handle == anchor else (BEGINNING_US, END_US)
            if (handle, window) not in self._sightings:
                rule = self.view.rule(handle)
                assert isinstance(rule, Timed)
                self._sightings[handle, window] = self._identities.sightings(tx, rule.sets, *window)
            return self._sightings[handle, window]

        if one.customer is not None:
            return one.customer
        anchor = self.view.anchor(one)
        return root_at(self.view, anchor, time_us, sightings)


def _leads(view: View, handle: int, one: IdentitySet) -> tuple[int, int | None]:
    """Whom a sighting in this set leads to: the anchor, or the bridge to a customer."""
    return view.anchor(one), view.bridge(handle, one)
