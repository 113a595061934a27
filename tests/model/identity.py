"""Who owns what: DESIGN.md section 6 without links, unlinks and erasure, over a whole set of touchpoints.

stored      one copy under each (anchor, source, id): the least (received, digest)
shared      handles seen with more than so many customers: they identify nobody
root        of a stored touchpoint: a customer, or the handle that a prospect goes by
persons     the touchpoints of each root, one copy of each (source, id), in order
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from tests.model import Touchpoint, order_of

StoredKey = tuple[str, str, str]


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


class Identities:
    """Everything that a set of touchpoints says about who is who. `shared_over`: a handle of more customers identifies nobody."""

    def __init__(self, touchpoints: Iterable[Touchpoint], shared_over: int = 100) -> None:
        self.stored = least_copies(touchpoints, key_of)
        self.shared_over = shared_over
        self.seen: defaultdict[str, list[Touchpoint]] = defaultdict(list)
        for touchpoint in self.stored:
            for identity in touchpoint["identities"]:
                self.seen[identity].append(touchpoint)

    @cached_property
    def shared(self) -> frozenset[str]:
        """Handles seen with too many customers."""
        return frozenset(
            handle
            for handle, touchpoints in self.seen.items()
            if not is_customer(handle) and len({customer_in(t) for t in touchpoints} - {None}) > self.shared_over
        )

    def telling(self, touchpoint: Touchpoint) -> list[str]:
        """The identities of a touchpoint that identify somebody, the highest rank first."""
        return [identity for identity in touchpoint["identities"] if identity not in self.shared]

    def with_a_customer(self, handle: str) -> list[Touchpoint]:
        """(1) Where the handle was seen with a customer."""
        if handle in self.shared:
            return []
        return [touchpoint for touchpoint in self.seen[handle] if customer_in(touchpoint) is not None]

    def bridge(self, handle: str, touchpoint: Touchpoint) -> str | None:
        """The highest-ranked other handle in a touchpoint that was seen with a customer somewhere."""
        for other in self.telling(touchpoint):
            if other != handle and not is_customer(other) and self.with_a_customer(other):
                return other
        return None

    def with_a_bridge(self, handle: str) -> list[Touchpoint]:
        """(2) Where the handle was seen with another that belongs to a customer."""
        if handle in self.shared:
            return []
        return [touchpoint for touchpoint in self.seen[handle] if self.bridge(handle, touchpoint) is not None]

    def with_a_higher_one(self, handle: str) -> list[Touchpoint]:
        """(3) Where the handle was seen with one that outranks it."""
        if handle in self.shared:
            return []
        return [touchpoint for touchpoint in self.seen[handle] if self.telling(touchpoint)[0] != handle]

    def customer_by_1(self, handle: str, time_us: int) -> str:
        customer = customer_in(in_effect(self.with_a_customer(handle), time_us))
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
            return self.telling(in_effect(outranked, time_us))[0]
        return handle

    def root(self, touchpoint: Touchpoint) -> str:
        """Whom a stored touchpoint belongs to."""
        telling = self.telling(touchpoint)
        effective = telling[0] if telling else anchor_of(touchpoint)
        return effective if is_customer(effective) else self.owner(effective, touchpoint["time_us"])


def customer_in(touchpoint: Touchpoint) -> str | None:
    """The customer of a touchpoint that names one."""
    anchor = anchor_of(touchpoint)
    return anchor if is_customer(anchor) else None


def roots(touchpoints: Iterable[Touchpoint], shared_over: int = 100) -> dict[StoredKey, str]:
    """The root of each stored touchpoint by (anchor, source, id)."""
    identities = Identities(touchpoints, shared_over)
    return {key_of(touchpoint): identities.root(touchpoint) for touchpoint in identities.stored}


def persons(touchpoints: Iterable[Touchpoint], shared_over: int = 100) -> dict[str, list[Touchpoint]]:
    """The touchpoints of each root, in order, one copy of each (source, id)."""
    identities = Identities(touchpoints, shared_over)
    owned: defaultdict[str, list[Touchpoint]] = defaultdict(list)
    for touchpoint in identities.stored:
        owned[identities.root(touchpoint)].append(touchpoint)
    return {
        root: sorted(least_copies(theirs, lambda touchpoint: (touchpoint["source"], touchpoint["id"])), key=order_of)
        for root, theirs in owned.items()
    }
