"""Who owns what: DESIGN.md section 6 without erasure, over a whole set of touchpoints, links and unlinks.

standing    what the identities of a touchpoint stand for by the links, the highest rank first
stored      one copy under each (anchor, source, id): the least (received, digest)
shared      handles seen with more than so many customers: they identify nobody
root        of a stored touchpoint: a customer, or the handle that a prospect goes by
persons     the touchpoints of each root, one copy of each (source, id), in order
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from tests.model import Command, Touchpoint, order_of

StoredKey = tuple[str, str, str]
RANKS = ["customer_id", "email", "phone", "", "anonymous_id", "device_id", "order", "case"]


def rank(identity: str) -> tuple[int, str]:
    """The place of an identity among others; "" are all other namespaces."""
    namespace = identity.partition(":")[0]
    return RANKS.index(namespace if namespace in RANKS else ""), identity


def is_customer(identity: str) -> bool:
    return identity.startswith("customer_id:")


def anchor_of(touchpoint: Touchpoint) -> str:
    """The highest-ranked identity."""
    return str(touchpoint["identities"][0])


def key_of(touchpoint: Touchpoint) -> StoredKey:
    return anchor_of(touchpoint), touchpoint["source"], touchpoint["id"]


def least_copies(touchpoints: Iterable[Touchpoint], key: Callable[[Touchpoint], object]) -> list[Touchpoint]:
    """Of the touchpoints with one key, the one received first; the digest decides between those of one microsecond."""
    copies: defaultdict[object, list[Touchpoint]] = defaultdict(list)
    for touchpoint in touchpoints:
        copies[key(touchpoint)].append(touchpoint)
    return [min(group, key=lambda copy: (copy["received_us"], copy["digest"], anchor_of(copy))) for group in copies.values()]


def in_effect(evidence: Sequence[Touchpoint], time_us: int) -> Touchpoint:
    """The latest at or before a time, else the earliest after."""

    def position(touchpoint: Touchpoint) -> tuple[object, ...]:
        return (*order_of(touchpoint), anchor_of(touchpoint))

    before = [touchpoint for touchpoint in evidence if touchpoint["time_us"] <= time_us]
    return max(before, key=position) if before else min(evidence, key=position)


class Links:
    """What links and unlinks say. Per unordered pair the newest counts."""

    def __init__(self, commands: Iterable[Command]) -> None:
        last = {
            frozenset(command["identities"]): command["action"]
            for command in sorted(commands, key=lambda c: (c["at_us"], c["id"]))
        }
        self.parted = {pair for pair, action in last.items() if action == "unlink"}
        self.classes: list[frozenset[str]] = []
        for pair in (pair for pair, action in last.items() if action == "link"):
            touching = [one for one in self.classes if one & pair]
            self.classes = [one for one in self.classes if one not in touching] + [pair.union(*touching)]

    def stands_for(self, identity: str) -> str:
        """The highest-ranked of those that it is linked to, through others too, and of itself."""
        return min(next((one for one in self.classes if identity in one), {identity}), key=rank)


class Identities:
    """Everything that a set of touchpoints, links and unlinks says about who is who.

    `shared_over`: a handle of more customers identifies nobody.
    """

    def __init__(self, touchpoints: Iterable[Touchpoint], shared_over: int = 100, commands: Iterable[Command] = ()) -> None:
        self.stored = least_copies(touchpoints, key_of)
        self.shared_over = shared_over
        self.links = Links(commands)
        self.seen: defaultdict[str, list[Touchpoint]] = defaultdict(list)
        for touchpoint in self.stored:
            for identity in self.standing(touchpoint):
                if not self.is_silent(touchpoint, identity):
                    self.seen[identity].append(touchpoint)

    def standing(self, touchpoint: Touchpoint) -> list[str]:
        """What its identities stand for, each once: the first customer among that, then the handles, the highest rank first."""
        meant = [self.links.stands_for(identity) for identity in touchpoint["identities"]]
        customers = [identity for identity in meant if is_customer(identity)]
        return customers[:1] + sorted({identity for identity in meant if not is_customer(identity)}, key=rank)

    def customer_in(self, touchpoint: Touchpoint) -> str | None:
        """The customer of a touchpoint, if it has one."""
        first = self.standing(touchpoint)[0]
        return first if is_customer(first) else None

    def are_parted(self, touchpoint: Touchpoint, one: str, other: str) -> bool:
        """Whether all that stands for one here is parted from all that stands for the other."""
        behind = {
            side: [identity for identity in touchpoint["identities"] if self.links.stands_for(identity) == side]
            for side in (one, other)
        }
        return one != other and all(frozenset((a, b)) in self.links.parted for a in behind[one] for b in behind[other])

    def is_silent(self, touchpoint: Touchpoint, handle: str) -> bool:
        """Whether a touchpoint says nothing about one of its handles, because its customer is parted from it."""
        customer = self.customer_in(touchpoint)
        return customer is not None and self.are_parted(touchpoint, customer, handle)

    @cached_property
    def shared(self) -> frozenset[str]:
        """Handles seen with too many customers."""
        return frozenset(
            handle
            for handle, touchpoints in self.seen.items()
            if not is_customer(handle) and len({self.customer_in(t) for t in touchpoints} - {None}) > self.shared_over
        )

    def telling(self, touchpoint: Touchpoint) -> list[str]:
        """The identities of a touchpoint that identify somebody, the highest rank first."""
        return [identity for identity in self.standing(touchpoint) if identity not in self.shared]

    def with_a_customer(self, handle: str) -> list[Touchpoint]:
        """(1) Where the handle was seen with a customer."""
        if handle in self.shared:
            return []
        return [touchpoint for touchpoint in self.seen[handle] if self.customer_in(touchpoint) is not None]

    def bridge(self, handle: str, touchpoint: Touchpoint) -> str | None:
        """The highest-ranked other handle in a touchpoint that was seen with a customer somewhere."""
        for other in self.telling(touchpoint):
            is_owned = other != handle and not is_customer(other) and self.with_a_customer(other)
            if is_owned and not self.are_parted(touchpoint, other, handle):
                return other
        return None

    def with_a_bridge(self, handle: str) -> list[Touchpoint]:
        """(2) Where the handle was seen with another that belongs to a customer."""
        if handle in self.shared:
            return []
        return [touchpoint for touchpoint in self.seen[handle] if self.bridge(handle, touchpoint) is not None]

    def above(self, handle: str, touchpoint: Touchpoint) -> str:
        """The highest-ranked in a touchpoint that a handle is not parted from; itself if none outranks it."""
        return next(other for other in self.telling(touchpoint) if not self.are_parted(touchpoint, other, handle))

    def with_a_higher_one(self, handle: str) -> list[Touchpoint]:
        """(3) Where the handle was seen with one that outranks it."""
        if handle in self.shared:
            return []
        return [touchpoint for touchpoint in self.seen[handle] if self.above(handle, touchpoint) != handle]

    def customer_by_1(self, handle: str, time_us: int) -> str:
        customer = self.customer_in(in_effect(self.with_a_customer(handle), time_us))
        assert customer is not None
        return customer

    def owner(self, handle: str, time_us: int) -> str:
        """The root of a handle at a time."""
        if self.with_a_customer(handle):
            return self.customer_by_1(handle, time_us)
        if bridged := self.with_a_bridge(handle):
            touchpoint = in_effect(bridged, time_us)
            bridge = self.bridge(handle, touchpoint)
            assert bridge is not None
            return self.customer_by_1(bridge, touchpoint["time_us"])
        if outranked := self.with_a_higher_one(handle):
            return self.above(handle, in_effect(outranked, time_us))
        return handle

    def root(self, touchpoint: Touchpoint) -> str:
        """Whom a stored touchpoint belongs to."""
        telling = self.telling(touchpoint)
        effective = telling[0] if telling else self.standing(touchpoint)[0]
        return effective if is_customer(effective) else self.owner(effective, touchpoint["time_us"])


def roots(touchpoints: Iterable[Touchpoint], shared_over: int = 100, commands: Iterable[Command] = ()) -> dict[StoredKey, str]:
    """The root of each stored touchpoint by (anchor, source, id)."""
    identities = Identities(touchpoints, shared_over, commands)
    return {key_of(touchpoint): identities.root(touchpoint) for touchpoint in identities.stored}


def persons(
    touchpoints: Iterable[Touchpoint], shared_over: int = 100, commands: Iterable[Command] = ()
) -> dict[str, list[Touchpoint]]:
    """The touchpoints of each root, in order, one copy of each (source, id)."""
    identities = Identities(touchpoints, shared_over, commands)
    owned: defaultdict[str, list[Touchpoint]] = defaultdict(list)
    for touchpoint in identities.stored:
        owned[identities.root(touchpoint)].append(touchpoint)
    return {
        root: sorted(least_copies(theirs, lambda touchpoint: (touchpoint["source"], touchpoint["id"])), key=order_of)
        for root, theirs in owned.items()
    }
