"""Who owns the touchpoints of a batch, and which stored touchpoints change hands because of it.

The locks come first (DESIGN.md section 6, concurrency): every identity that a resolution may pass, before or after the batch, is
inserted if absent and locked, level by level, in byte order; whatever is read is read after that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from schemas.identity import is_customer
from services.journey.domain.identity import Identity, IdentitySet, Rule, Settled, Sighting, Timed, View, root_at
from services.journey.domain.links import Form, Pair, form
from services.journey.store.commands import StoredCommands
from services.journey.store.hiding import Hidden
from services.journey.store.identities import BEGINNING_US, END_US, Identities, Members
from services.journey.store.touchpoints import Kept, Reference, Touchpoints
from services.shared.errors import Contended

MAX_DEPTH = 2
NOTHING_PARTED: frozenset[Pair] = frozenset()
Lockable = int | str
"""An identity by its number, or a source by its name: its own clock."""


class NotLocked(Contended):
    """What a batch touches grew beyond what was locked: roll back, and lock these from the start."""

    def __init__(self, identities: Collection[Lockable]) -> None:
        super().__init__(f"{len(identities)} more identities must be locked")
        self.identities = frozenset(identities)


class Ownership:
    """One batch's view of identities, as they stand: `lock` first, then `learn` its sets, then ask `settled_owner` and `moved`.

    `ids` has every identity by its name; whatever else counts identities counts those that they stand for.
    """

    def __init__(
        self, identities: Identities, touchpoints: Touchpoints, commands: StoredCommands, lost: Hidden, limit: int
    ) -> None:
        self._identities, self._touchpoints, self._commands, self._lost = identities, touchpoints, commands, lost
        self.view = View(limit)
        self.ids: dict[str, int] = {}
        self.fresh: set[int] = set()
        self._before = self.view
        self._is_linked = False
        self._expanded: set[int] = set()
        self._sightings: dict[tuple[int, tuple[int, int]], Sequence[Sighting]] = {}
        self._windows: dict[int, tuple[int, int]] = {}
        self.hidden: dict[int, str] = {}
        """The names, as they came, of identities that had lost theirs."""
        self._is_marked = False

    # -- locking and learning -----------------------------------------------------------------------------------------------

    def lock(self, tx: Connection, together: Collection[Sequence[str]], also: Collection[int] = ()) -> None:
        """Lock the identities of a batch, given as the ranked identities of its touchpoints, and all that their ownership hangs on."""
        names = {name for identities in together for name in identities}
        fresh = self._identities.make(tx, names)
        standing: dict[int, int] = {}
        known = self._recognise(tx, fresh)
        for row in self._identities.lock(tx, names.difference(known)):
            self.view.identities[row.id] = row
            self.ids[row.name] = row.id
            if row.name in fresh:
                self.fresh.add(row.id)
            if row.stands_for is not None:
                standing[row.id] = row.stands_for
        if len(self.ids) < len(names):
            raise Contended("an identity lost its name, or got it back, while this waited for it")
        self._is_linked = bool(standing)
        self.hold(tx, {*also, *standing.values()})
        changing = {handle for identities in together for handle in self._strangers(identities)}
        frontier = {standing.get(id, id) for id in self.ids.values()} if standing else set(self.ids.values())
        self.widen(tx, frontier.union(also), changing.union(also))

    def _recognise(self, tx: Connection, fresh: Collection[str]) -> Collection[str]:
        """Those of the names just made that are of identities which had lost them; these are locked in their place."""
        known = self._lost.names(tx, fresh)
        if known:
            self._identities.unmake(tx, known)
            self.view.identities.update((row.id, row) for row in self._identities.lock_ids(tx, known.values()))
            self.ids.update(known)
            self.hidden.update((id, name) for name, id in known.items())
        return known

    def hold(self, tx: Connection, ids: Collection[int]) -> None:
        """Lock these identities and what they stand for, and read them."""
        while missing := [id for id in ids if id not in self.view.identities]:
            self.view.identities.update((row.id, row) for row in self._identities.lock_ids(tx, missing))
            ids = {self.view.identities[id].standing for id in missing}

    def widen(self, tx: Connection, frontier: Collection[int], changing: Collection[int]) -> None:
        """Lock the company of these held identities that their ownership hangs on, level by level; of `changing` ones in any case."""
        for depth in range(MAX_DEPTH + 1):
            handles = [handle for handle in frontier if self._is_open(handle, depth) or handle in changing]
            frontier = self._expand(
                tx, [handle for handle in handles if handle not in self.fresh and handle not in self._expanded]
            )
            if not frontier:
                break
            self.hold(tx, frontier)
        self.hold(tx, {known.customer for known in self.view.identities.values() if known.customer is not None})

    def learn(self, tx: Connection, together: Iterable[Sequence[str]]) -> dict[Members, IdentitySet]:
        """The sets of identities that the batch's touchpoints show, made where they are new; the view is of after the batch from now on."""
        wanted = {tuple(self.ids[name] for name in identities): is_customer(identities[0]) for identities in together}
        sets, made = self._identities.intern(tx, wanted, lambda missing: self.forms(tx, missing))
        if made and self._before is self.view:
            self._before = self.view.copy()
        for one in sets.values():
            self.view.add_set(one)
        self._recount(
            tx, {member for one in made if one.customer is not None for member in one.members if member != one.customer}
        )
        return sets

    def forms(self, tx: Connection, sets: Collection[Members]) -> dict[Members, Form]:
        """What sets of identities, as they were sent and held, stand for."""
        known = self.view.identities
        named = {one for sent in sets for one in sent if known[one].stands_for is not None or known[one].is_parted}
        if not named:
            return {sent: Form(sent, sent[0] if is_customer(known[sent[0]].name) else None, NOTHING_PARTED) for sent in sets}
        linked = {one: known[known[one].standing] for one in named}
        apart = {one for one in named if known[one].is_parted}
        pairs = self._commands.pairs(tx, apart) if any(len(apart.intersection(sent)) > 1 for sent in sets) else {}
        parted = {pair for pair, is_link in pairs.items() if not is_link}
        return {sent: form([known[one] for one in sent], linked, parted) for sent in sets}

    def relink(self, tx: Connection, changed: Mapping[int, int | None], old: Collection[IdentitySet]) -> list[IdentitySet]:
        """Identities stand for others now (None: for themselves), and these sets, as they were until now, are formed anew.

        Everything that either names must be held. The view is of after it from now on; returns the sets as they are now.
        """
        held = dict(self.view.identities)
        self._identities.link(tx, changed)
        for id, stands_for in changed.items():
            self.view.identities[id] = held[id]._replace(stands_for=stands_for, customers=0, customer=None)
        sent = {one.id: one.as_sent for one in old}
        forms = self.forms(tx, set(sent.values()))
        new = self._identities.reform(tx, list(old), {id: forms[members] for id, members in sent.items()})
        for one in new:
            self.view.add_set(one)
        if haunted := {member for one in new if one.has_ghosts for member in one.members}:
            self._identities.haunt(tx, haunted)
            self.view.identities.update((id, self.view.identities[id]._replace(has_ghosts=True)) for id in haunted)
        company = {member for one in (*old, *new) for member in one.members if self.view.identities[member].stands_for is None}
        company |= {id for id, stands_for in changed.items() if stands_for is None}
        handles = {one for one in company if not is_customer(self.view.identities[one].name)}
        self.view.identities.update((row.id, row) for row in self._identities.recount(tx, handles))
        moved = {one for one in handles if _counted(held[one]) != _counted(self.view.identities[one])}
        self.widen(tx, [one for one in handles if not _is_shared_twice(self.view, held[one])], moved)
        self._before = self.view.replaced(held, old)
        return new

    def accompany(self, tx: Connection, identities: Collection[int]) -> None:
        """Lock these identities and all that their ownership hangs on; stored touchpoints of theirs are about to be removed."""
        self.hold(tx, identities)
        standing = {self.view.identities[one].standing for one in identities}
        self.hold(tx, standing)
        self.widen(tx, standing, {one for one in standing if not self._is_beyond_doubt(one)})

    def know(self, tx: Connection, sets: Collection[int]) -> None:
        """Read these sets, and hold their identities."""
        for one in self._identities.sets(tx, [set_id for set_id in sets if set_id not in self.view.sets]):
            self.view.add_set(one)
        self.hold(tx, {one for set_id in sets for one in (*self.view.sets[set_id].members, *self.view.sets[set_id].as_sent)})

    def haunt(self, tx: Connection, sets: Collection[IdentitySet], members: Collection[int]) -> None:
        """Some touchpoints of these sets are ghosts from now on. The view is of after it."""
        self._identities.haunt(tx, members)
        rows = {row.id: row for row in self._identities.read_ids(tx, members)}
        self._before, self.view = self.view, self.view.replaced(rows, [one._replace(has_ghosts=True) for one in sets])
        self._sightings.clear()

    def mark(self, tx: Connection, identities: Collection[int]) -> None:
        """Up to when these are erased is kept already; the view is of after it from now on."""
        self.hold(tx, identities)
        self.view.identities.update((row.id, row) for row in self._identities.read_ids(tx, identities))
        self._is_marked = True

    def has_marks(self) -> bool:
        """Whether anything that is known here is erased up to some time."""
        return any(known.erased_us is not None for known in self.view.identities.values())

    def plain(self, identity: int) -> str:
        """The name of an identity, also if it has lost it."""
        return self.hidden.get(identity) or self.view.identities[identity].name

    def rename(self, names: Mapping[int, str]) -> None:
        """These have their names again."""
        known = self.view.identities
        known.update((identity, known[identity]._replace(name=name)) for identity, name in names.items())

    def root(self, tx: Connection, identity: int, time_us: int) -> int:
        """Whom an identity, which is held with its company, resolves to at a time."""

        def sightings(handle: int) -> Sequence[Sighting]:
            rule = self.view.rule(handle)
            assert isinstance(rule, Timed)
            return self._in_order(tx, rule, BEGINNING_US, END_US)

        return root_at(self.view, self.view.identities[identity].standing, time_us, sightings)

    def doubtful(self, tx: Connection, formed: Collection[IdentitySet] = ()) -> list[Kept]:
        """The touchpoints that a wiped identity may come to decide over: those of these held sets, which were formed anew, and of those that
        go by another handle now."""
        sets = {one.id: one for one in (*formed, *self._passed_on())}.values()
        self.know(tx, {one.id for one in sets})
        wiped_us = [known.wiped_us for one in sets for known in map(self.view.identities.__getitem__, one.as_sent)]
        until_us = max((us for us in wiped_us if us is not None), default=None)
        return [] if until_us is None else self._touchpoints.in_sets(tx, {one.id for one in sets}, BEGINNING_US, until_us)

    def _passed_on(self) -> list[IdentitySet]:
        """Sets that a handle passes on, because it is shared now, or takes back, because it is so no more."""
        before, now = self._before, self.view
        if before is now:
            return []
        turned = [one for one in now.identities if one in before.identities and before.is_shared(one) != now.is_shared(one)]
        return [one for handle in turned for one in now.sets_of(handle) if one.customer is None]

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

    def admit(self, tx: Connection, sets: Collection[int]) -> set[int]:
        """Stored touchpoints of these sets join the batch; returns their identities, as they were sent. Raises NotLocked unless these are
        locked and known."""
        found = self._identities.sets(tx, sets)
        self.require_known({member for one in found for member in one.members})
        sent = {member for one in found for member in one.as_sent}
        self.require(sent)
        self.ids.update((self.view.identities[member].name, member) for member in sent)
        return sent

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

    def moved(
        self, tx: Connection, changed: Sequence[tuple[int, int]], formed: Collection[IdentitySet] = ()
    ) -> dict[Reference, tuple[Kept, int]]:
        """The stored touchpoints whose owner is another now, with that owner; `changed` are (set, time) of those that came or went,
        `formed` are sets that were formed anew.

        Ask after the batch's touchpoints are stored: those without an owner yet (0) are among the answers.
        """
        found = self._moved_in(tx, {one.id for one in formed}, BEGINNING_US, END_US)
        for handle, (from_us, to_us) in self._dirty(tx, changed).items():
            found |= self._moved_in(tx, {one.id for one in self._anchored_at(handle)}, from_us, to_us)
        return found

    # -- inside -------------------------------------------------------------------------------------------------------------

    def _moved_in(self, tx: Connection, sets: Collection[int], from_us: int, to_us: int) -> dict[Reference, tuple[Kept, int]]:
        """Of the touchpoints in these sets, from one time to another, those whose owner is another now."""
        kept = self._touchpoints.in_sets(tx, sets, from_us, to_us) if sets else []
        self._see(kept)
        owners = ((one, self._owner_at(tx, self.view.sets[one.set_id], one.time_us)) for one in kept)
        return {one.reference: (one, owner) for one, owner in owners if owner != one.owner}

    def _strangers(self, identities: Sequence[str]) -> list[int]:
        """The handles of a touchpoint with a customer that were not known to be that customer's only."""
        known = self.view.identities
        if not self._is_linked:
            if not is_customer(identities[0]):
                return []
            customer, *handles = [self.ids[name] for name in identities]
            return [handle for handle in handles if known[handle].customer != customer]
        sent = [known[self.ids[name]] for name in identities]
        members, standing, _ = form(sent, {one.id: known[one.standing] for one in sent}, ())
        return [member for member in members if member != standing and known[member].customer != standing] if standing else []

    def _is_known(self, identity: int) -> bool:
        """Whether all sets of an identity are in the view (of a customer, none are needed)."""
        is_fresh = identity in self.fresh or is_customer(self.view.identities[identity].name)
        return is_fresh or identity in self._expanded

    def _is_open(self, handle: int, depth: int) -> bool:
        """Whether the sets of a handle matter: it was seen with no customer (then its company decides), or with several."""
        known = self.view.identities.get(handle)
        if known is None or self._is_beyond_doubt(handle) or (known.customers == 1 and not known.has_ghosts):
            return False
        return known.customers > 0 or depth < MAX_DEPTH

    def _is_beyond_doubt(self, identity: int) -> bool:
        return is_customer(self.view.identities[identity].name) or self.view.is_shared(identity)

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
            if known.stands_for is not None or is_customer(known.name):
                continue
            rule = self.view.rule(handle)
            if self._changed(handle, rule):
                windows[handle] = (BEGINNING_US, END_US)
            elif isinstance(rule, Timed):
                sets = {*rule.sets, *(one.id for one in self._anchored_at(handle))}
                is_led_elsewhere = self._is_marked and bool(rule.haunted)
                if handle in self.fresh or is_led_elsewhere or self._bridges_touched(handle, rule, times):
                    windows[handle] = (BEGINNING_US, END_US)
                elif touched := [time_us for set_id in sets for time_us in times.get(set_id, ())]:
                    windows[handle] = self._window(tx, rule, min(touched), max(touched))
        return windows

    def _changed(self, handle: int, rule: Rule) -> bool:
        """Whether a handle that had touchpoints before the batch has another rule now, or decides over other touchpoints."""
        if self._before is self.view or handle in self.fresh or handle not in self._before.identities:
            return False
        return self._before.rule(handle) != rule or any(
            one.id in self._before.sets
            and _leads(self._before, handle, self._before.sets[one.id]) != _leads(self.view, handle, one)
            for one in self.view.sets_of(handle)
        )

    def _window(self, tx: Connection, rule: Timed, first_us: int, last_us: int) -> tuple[int, int]:
        """The times for which sightings from `first_us` to `last_us` may be in effect."""
        around = self._identities.sightings(tx, rule.sets, first_us, last_us, rule.haunted)
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
            and (
                self.view.anchor(one) == handle
                or (one.id in self._before.sets and self._before.anchor(self._before.sets[one.id]) == handle)
            )
        ]

    def _see(self, kept: Sequence[Kept]) -> None:
        """Widen the times for which the sightings of these touchpoints' anchors must be known."""
        for one in kept:
            handle = self.view.anchor(self.view.sets[one.set_id])
            from_us, to_us = self._windows.get(handle, (END_US, BEGINNING_US))
            wider = min(from_us, one.time_us), max(to_us, one.time_us)
            self._windows[handle] = wider

    def _in_order(self, tx: Connection, rule: Timed, from_us: int, to_us: int) -> Sequence[Sighting]:
        """Sightings in the order of names as they came, whoever has lost one by now."""
        found = self._identities.sightings(tx, rule.sets, from_us, to_us, rule.haunted)
        if not self.hidden:
            return found
        names = {self.view.identities[identity].name: name for identity, name in self.hidden.items()}
        return sorted(one._replace(anchor=names.get(one.anchor, one.anchor)) for one in found)

    def _owner_at(self, tx: Connection, one: IdentitySet, time_us: int) -> int:
        def sightings(handle: int) -> Sequence[Sighting]:
            window = self._windows[handle] if handle == anchor else (BEGINNING_US, END_US)
            if (handle, window) not in self._sightings:
                rule = self.view.rule(handle)
                assert isinstance(rule, Timed)
                self._sightings[handle, window] = self._in_order(tx, rule, *window)
            return self._sightings[handle, window]

        if one.customer is not None:
            return one.customer
        anchor = self.view.anchor(one)
        return root_at(self.view, anchor, time_us, sightings)


def _leads(view: View, handle: int, one: IdentitySet) -> tuple[int, int, int | None]:
    """Who owns the touchpoints of a set, and whom a sighting in it leads a handle to: one that outranks it, or a bridge to a customer."""
    anchor = view.anchor(one)
    return anchor, view.above(handle, one) if one.parted else anchor, view.bridge(handle, one)


def _counted(known: Identity) -> tuple[int, int | None]:
    return known.customers, known.customer


def _is_shared_twice(view: View, before: Identity) -> bool:
    """Whether a handle identified nobody before, and does not now."""
    return before.customers > view.limit and view.is_shared(before.id)
