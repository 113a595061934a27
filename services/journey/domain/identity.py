"""Who a touchpoint belongs to: the ownership of handles in time (DESIGN.md section 6).

A handle's owner at a time, in this order:
 1. the customer with whom it was seen in one touchpoint: the latest at or before the time, else the earliest after;
 2. if it was never seen with a customer, the customer to whom a handle seen with it belonged (by 1) at that moment,
    in effect by the same rule;
 3. if neither, nobody: the root is the highest-ranked handle that it was seen with, in effect by the same rule, or itself.
A handle seen with too many customers is shared: it identifies nobody, and a touchpoint is taken by its next identity.
All this is over identities as they stand: links have replaced them already (see `links`). A touchpoint whose customer is parted from
one of its handles says nothing about that handle; of two parted handles neither is a bridge to the other, nor outranks it.

An erasure leaves ghosts of the touchpoints that it removes (docs/decisions/0011): they go on deciding like the others, but give
nothing to anybody: a touchpoint for which one is in effect is refused if it is of a time up to which the person it leads to is
erased, else the handle goes by itself.

Most handles have one answer for all times; `rule` finds it without looking at any touchpoint. The rest is decided by sightings.
Identities are whole numbers here (rows of the identity table); sets of identities that were seen together are interned, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from schemas.identity import is_customer

NEVER_US = -(2**63)
"""Before all times."""


class Identity(NamedTuple):
    """A known identity. `customers` is with how many different customers it was seen, `customer` the only one, if it is one.

    `stands_for` is the identity that it is linked to and goes by, None for itself; `is_parted`: an unlink that counts names it.
    `erased_us`: what resolves to it is erased up to then; `wiped_us`: what is owned by it is refused up to then; `has_ghosts`: one
    of its sets has some.
    """

    id: int
    name: str
    customers: int = 0
    customer: int | None = None
    stands_for: int | None = None
    is_parted: bool = False
    erased_us: int | None = None
    wiped_us: int | None = None
    has_ghosts: bool = False

    @property
    def standing(self) -> int:
        """The identity that counts in its place."""
        return self.id if self.stands_for is None else self.stands_for


class IdentitySet(NamedTuple):
    """Identities that were seen together in a touchpoint, as they stand, the highest rank first; `customer` is the customer among them.

    `parted` are pairs of them (the higher rank first) of which it proves nothing; `sent` are the identities as they were sent, () if
    links change nothing in them; `has_ghosts`: some of these touchpoints are erased.
    """

    id: int
    members: tuple[int, ...]
    customer: int | None
    parted: frozenset[tuple[int, int]] = frozenset()
    sent: tuple[int, ...] = ()
    has_ghosts: bool = False

    @property
    def as_sent(self) -> tuple[int, ...]:
        """The identities as the touchpoint gives them."""
        return self.sent or self.members

    def tells_of(self, handle: int) -> bool:
        """Whether it is evidence about a handle at all: not if the customer is parted from it."""
        return not self.parted or self.customer is None or (self.customer, handle) not in self.parted

    def joins(self, one: int, other: int) -> bool:
        """Whether it shows two of its handles together."""
        return not self.parted or not ((one, other) in self.parted or (other, one) in self.parted)


class Sighting(NamedTuple):
    """A touchpoint as evidence of who used a handle, in the total order of touchpoints; `anchor` tells copies apart.

    A ghost has a keyed hash of all three in the place of `source`.
    """

    time_us: int
    original_us: int
    case_rank: int
    source: str
    id: str
    anchor: str
    set_id: int
    is_ghost: bool = False


class Settled(NamedTuple):
    """The same root at all times."""

    root: int


class Timed(NamedTuple):
    """The root depends on the time: the sighting in effect is one in these sets, of which some are `haunted` by ghosts."""

    sets: tuple[int, ...]
    haunted: tuple[int, ...] = ()


Rule = Settled | Timed
Sightings = Callable[[int], Sequence[Sighting]]
"""Gives the sightings of a handle in the sets of its `Timed` rule, in order: all that matter for the times asked about."""


class View:
    """What is known of some identities and of the sets they are in, at one moment; `limit` is the most customers a handle may have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.identities: dict[int, Identity] = {}
        self.sets: dict[int, IdentitySet] = {}
        self._of: dict[int, list[int]] = {}

    def add_set(self, one: IdentitySet) -> None:
        if one.id not in self.sets:
            self.sets[one.id] = one
            for member in one.members:
                if one.tells_of(member):
                    self._of.setdefault(member, []).append(one.id)

    def sets_of(self, identity: int) -> Iterator[IdentitySet]:
        """The known sets that an identity is in, but for those that say nothing about it."""
        return (self.sets[set_id] for set_id in self._of.get(identity, ()))

    def copy(self) -> View:
        """An independent view of the same knowledge."""
        other = View(self.limit)
        other.identities = dict(self.identities)
        other.sets = dict(self.sets)
        other._of = {identity: list(sets) for identity, sets in self._of.items()}
        return other

    def replaced(self, identities: Mapping[int, Identity], sets: Collection[IdentitySet]) -> View:
        """Another view, in which these identities and sets are as given."""
        other = View(self.limit)
        other.identities = {**self.identities, **identities}
        for one in ({one.id: one for one in self.sets.values()} | {one.id: one for one in sets}).values():
            other.add_set(one)
        return other

    def is_shared(self, identity: int) -> bool:
        """Whether a handle was seen with so many customers that it identifies nobody."""
        known = self.identities.get(identity)
        return known is not None and known.customers > self.limit

    def anchor(self, one: IdentitySet) -> int:
        """The identity by which the touchpoints of a set are owned: its highest-ranked one that is not shared."""
        return next((member for member in one.members if not self.is_shared(member)), one.members[0])

    def erased_us(self, identity: int) -> int:
        """Up to when what resolves to an identity is erased; before all times if it is not."""
        known = self.identities.get(identity)
        return NEVER_US if known is None or known.erased_us is None else known.erased_us

    def refused_us(self, one: IdentitySet, root: int) -> int:
        """Up to when touchpoints of a set that resolve to this root are refused."""
        anchor, until_us = self.anchor(one), self.erased_us(root)
        for member in one.as_sent:
            known = self.identities[member]
            if known.wiped_us is not None and known.standing == anchor:
                until_us = max(until_us, known.wiped_us)
        return until_us

    def rule(self, identity: int) -> Rule:
        """How an identity's root is found: once and for all, or by the time."""
        known = self.identities[identity]
        if is_customer(known.name) or known.customers > self.limit:
            return Settled(identity)
        if known.customers == 1 and not known.has_ghosts:
            assert known.customer is not None
            return Settled(known.customer)
        if known.customers:
            timed = self._timed(one.id for one in self.sets_of(identity) if one.customer is not None)
            return Settled(known.customer) if known.customer is not None and not timed.haunted else timed
        return self._by_bridges(identity) or self._by_rank(identity)

    def bridge(self, identity: int, one: IdentitySet) -> int | None:
        """The highest-ranked other handle of a set that was seen with a customer."""
        for member in one.members:
            is_bridge = member != identity and not self.is_shared(member) and self.identities[member].customers > 0
            if is_bridge and one.joins(member, identity):
                return member
        return None

    def above(self, identity: int, one: IdentitySet) -> int:
        """The highest-ranked identity of a set that a prospect with this handle goes by: the handle itself, if none outranks it."""
        if not one.parted:
            return self.anchor(one)
        return next(
            (member for member in one.members if not self.is_shared(member) and one.joins(member, identity)), one.members[0]
        )

    def _by_bridges(self, identity: int) -> Rule | None:
        bridges = {one.id: bridge for one in self.sets_of(identity) if (bridge := self.bridge(identity, one)) is not None}
        if not bridges:
            return None
        timed = self._timed(bridges)
        known = [self.identities[bridge] for bridge in bridges.values()]
        roots = {one.customer if one.customers == 1 and not one.has_ghosts else None for one in known}
        only = roots.pop() if len(roots) == 1 else None
        return Settled(only) if only is not None and not timed.haunted else timed

    def _by_rank(self, identity: int) -> Rule:
        higher = {one.id: above for one in self.sets_of(identity) if (above := self.above(identity, one)) != identity}
        roots = set(higher.values())
        if not roots:
            return Settled(identity)
        timed = self._timed(higher)
        return Settled(roots.pop()) if len(roots) == 1 and not timed.haunted else timed

    def _timed(self, sets: Iterable[int]) -> Timed:
        listed = tuple(sorted(sets))
        return Timed(listed, tuple(set_id for set_id in listed if self.sets[set_id].has_ghosts))


def root_at(view: View, identity: int, time_us: int, sightings: Sightings) -> int:
    """The root of an identity at a time: a customer, or the handle that a prospect goes by."""
    root = _somebody_at(view, identity, time_us, sightings)
    return identity if root is None else root


def _somebody_at(view: View, identity: int, time_us: int, sightings: Sightings) -> int | None:
    """The same; None if a ghost is in effect that leads to nobody who is erased up to that time."""
    rule = view.rule(identity)
    if isinstance(rule, Settled):
        return rule.root
    sighting = in_effect(sightings(identity), time_us)
    root = _leads_to(view, identity, sighting, sightings)
    return None if sighting.is_ghost and view.erased_us(root) < time_us else root


def _leads_to(view: View, identity: int, sighting: Sighting, sightings: Sightings) -> int:
    """Whose a handle is by the sighting that is in effect."""
    one = view.sets[sighting.set_id]
    if one.customer is not None:
        return one.customer
    bridge = view.bridge(identity, one)
    root = None if bridge is None else _somebody_at(view, bridge, sighting.time_us, sightings)
    return view.above(identity, one) if root is None else root


def in_effect(sightings: Sequence[Sighting], time_us: int) -> Sighting:
    """The latest sighting at or before a time, else the earliest after it; there must be one."""
    index = bisect_right(sightings, time_us, key=lambda sighting: sighting.time_us)
    return sightings[max(index - 1, 0)]
