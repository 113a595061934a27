"""Who owns what: DESIGN.md section 6 over a whole set of touchpoints, links and unlinks.

standing    what the identities of a touchpoint stand for by the links, the highest rank first
stored      one copy under each (anchor, source, id): the least (received, digest)
shared      handles seen with more than so many customers: they identify nobody
root        of a stored touchpoint: a customer, or the handle that a prospect goes by
persons     the touchpoints of each root, one copy of each (source, id), in order
gone        stored touchpoints that were erased: ghosts, which are nobody's and go on deciding (docs/decisions/0011)
History     the same over batches, commands and erasures as they come: what is gone once stays gone
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from tests.model import Command, Touchpoint, order_of

StoredKey = tuple[str, str, str]
NEVER_US = -(2**63)
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


class Marks(NamedTuple):
    """What erasures leave: the stored touchpoints that are `gone`; up to when what resolves to an identity is `erased`; up to when
    what is owned by an identity is refused, because it is `wiped`. In the place of what tells a ghost from others stands its `veil`."""

    gone: set[StoredKey]
    erased: dict[str, int]
    wiped: dict[str, int]
    veil: Callable[[StoredKey], str]

    @classmethod
    def none(cls, veil: Callable[[StoredKey], str] = str) -> Marks:
        return cls(set(), {}, {}, veil)

    def erased_us(self, identity: str) -> int:
        return self.erased.get(identity, NEVER_US)

    def erase(self, identity: str, until_us: int) -> None:
        self.erased[identity] = max(self.erased_us(identity), until_us)

    def wipe(self, identity: str, until_us: int) -> None:
        self.erase(identity, until_us)
        self.wiped[identity] = max(self.wiped.get(identity, NEVER_US), until_us)

    def position(self, touchpoint: Touchpoint) -> tuple[object, ...]:
        """The place of a touchpoint among all, ghosts too."""
        key, order = key_of(touchpoint), order_of(touchpoint)
        return (*order[:3], self.veil(key), "", "") if key in self.gone else (*order, anchor_of(touchpoint))


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

    `shared_over`: a handle of more customers identifies nobody. A link is void if what it names was erased at its time or later.
    """

    def __init__(
        self,
        touchpoints: Iterable[Touchpoint],
        shared_over: int = 100,
        commands: Iterable[Command] = (),
        marks: Marks | None = None,
    ) -> None:
        self.stored = least_copies(touchpoints, key_of)
        self.shared_over = shared_over
        self.marks = marks = marks if marks is not None else Marks.none()
        self.links = Links(command for command in commands if command["action"] == "unlink" or not is_void(command, marks))
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

    def in_effect(self, evidence: Sequence[Touchpoint], time_us: int) -> Touchpoint:
        """The latest at or before a time, else the earliest after."""
        before = [touchpoint for touchpoint in evidence if touchpoint["time_us"] <= time_us]
        return max(before, key=self.marks.position) if before else min(evidence, key=self.marks.position)

    def unless_void(self, root: str, touchpoint: Touchpoint, time_us: int) -> str | None:
        """Whom a touchpoint that is in effect leads to; None if it is a ghost and that person is not erased at that time."""
        return None if key_of(touchpoint) in self.marks.gone and self.marks.erased_us(root) < time_us else root

    def customer_by_1(self, handle: str, time_us: int) -> str | None:
        touchpoint = self.in_effect(self.with_a_customer(handle), time_us)
        customer = self.customer_in(touchpoint)
        assert customer is not None
        return self.unless_void(customer, touchpoint, time_us)

    def owner(self, handle: str, time_us: int) -> str:
        """The root of a handle at a time."""
        if self.with_a_customer(handle):
            return self.customer_by_1(handle, time_us) or handle
        if bridged := self.with_a_bridge(handle):
            touchpoint = self.in_effect(bridged, time_us)
            bridge = self.bridge(handle, touchpoint)
            assert bridge is not None
            root = self.customer_by_1(bridge, touchpoint["time_us"]) or self.above(handle, touchpoint)
            return self.unless_void(root, touchpoint, time_us) or handle
        if outranked := self.with_a_higher_one(handle):
            touchpoint = self.in_effect(outranked, time_us)
            return self.unless_void(self.above(handle, touchpoint), touchpoint, time_us) or handle
        return handle

    def effective(self, touchpoint: Touchpoint) -> str:
        """The identity by which a touchpoint is owned."""
        telling = self.telling(touchpoint)
        return telling[0] if telling else self.standing(touchpoint)[0]

    def root_at(self, identity: str, time_us: int) -> str:
        standing = self.links.stands_for(identity)
        return standing if is_customer(standing) else self.owner(standing, time_us)

    def root(self, touchpoint: Touchpoint) -> str:
        """Whom a stored touchpoint belongs to."""
        return self.root_at(self.effective(touchpoint), touchpoint["time_us"])

    def refused_us(self, touchpoint: Touchpoint) -> int:
        """Up to when touchpoints like this one are refused."""
        effective = self.effective(touchpoint)
        behind = [identity for identity in touchpoint["identities"] if self.links.stands_for(identity) == effective]
        return max(self.marks.erased_us(self.root(touchpoint)), *(self.marks.wiped.get(one, NEVER_US) for one in behind))


def is_void(command: Command, marks: Marks) -> bool:
    return any(marks.erased_us(identity) >= command["at_us"] for identity in command["identities"])


class History:
    """Batches, links, unlinks and erasures in the order in which they come."""

    def __init__(self, shared_over: int, veil: Callable[[StoredKey], str]) -> None:
        self.shared_over = shared_over
        self.arrived: list[Touchpoint] = []
        self.commands: list[Command] = []
        self.done: set[str] = set()
        self.marks = Marks.none(veil)

    @property
    def identities(self) -> Identities:
        return Identities(self.arrived, self.shared_over, self.commands, self.marks)

    @property
    def kept(self) -> list[Touchpoint]:
        """What is stored and not gone."""
        return [touchpoint for touchpoint in self.identities.stored if key_of(touchpoint) not in self.marks.gone]

    def take(self, batch: Iterable[Touchpoint]) -> None:
        self.arrived += batch
        self.settle()

    def decide(self, command: Command) -> None:
        """A link or an unlink."""
        self.commands.append(command)
        self.settle()

    def erase(self, identity: str, until_us: int) -> None:
        """The person whom an identity resolves to at that time, up to that time."""
        before = self.identities
        root = before.root_at(identity, until_us)
        members = next((one for one in before.links.classes if root in one), {root})
        removed = [one for one in self.kept if before.root(one) == root and one["time_us"] <= until_us]
        self.remove([(one, until_us) for one in removed])
        for member in members:
            self.marks.erase(member, until_us)
            if is_customer(root) or not self.is_left(member, until_us):
                self.marks.wipe(member, until_us)
        self.settle()

    def settle(self) -> None:
        """Remove what resolves to somebody who is erased, as long as there is any."""
        while refused := self.refused():
            self.remove(refused)

    def remove(self, refused: Iterable[tuple[Touchpoint, int]]) -> None:
        """These, each refused up to a time, become ghosts; with them go identities of which nothing is left up to then."""
        refused = list(refused)
        self.marks.gone.update(key_of(touchpoint) for touchpoint, _ in refused)
        for identity, until_us in {(one, until_us) for touchpoint, until_us in refused for one in touchpoint["identities"]}:
            if not self.is_left(identity, until_us):
                self.marks.wipe(identity, until_us)

    def is_left(self, identity: str, until_us: int) -> bool:
        return any(identity in touchpoint["identities"] and touchpoint["time_us"] <= until_us for touchpoint in self.kept)

    def refused(self) -> list[tuple[Touchpoint, int]]:
        identities = self.identities
        found = [(touchpoint, identities.refused_us(touchpoint)) for touchpoint in self.kept]
        return [(touchpoint, until_us) for touchpoint, until_us in found if touchpoint["time_us"] <= until_us]


def roots(touchpoints: Iterable[Touchpoint], shared_over: int = 100, commands: Iterable[Command] = ()) -> dict[StoredKey, str]:
    """The root of each stored touchpoint by (anchor, source, id)."""
    identities = Identities(touchpoints, shared_over, commands)
    return {key_of(touchpoint): identities.root(touchpoint) for touchpoint in identities.stored}


def persons(
    touchpoints: Iterable[Touchpoint],
    shared_over: int = 100,
    commands: Iterable[Command] = (),
    marks: Marks | None = None,
) -> dict[str, list[Touchpoint]]:
    """The touchpoints of each root, in order, one copy of each (source, id)."""
    identities = Identities(touchpoints, shared_over, commands, marks)
    owned: defaultdict[str, list[Touchpoint]] = defaultdict(list)
    for touchpoint in identities.stored:
        if key_of(touchpoint) in identities.marks.gone:
            continue
        owned[identities.root(touchpoint)].append(touchpoint)
    return {
        root: sorted(least_copies(theirs, lambda touchpoint: (touchpoint["source"], touchpoint["id"])), key=order_of)
        for root, theirs in owned.items()
    }
