"""What one household does in the year, in the order it is told, and whose deed everything is."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from services.cli.simulate.script import ACTS, Actor, Stage

MILLISECOND_US = 1_000
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUSY_HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 9, 11, 10, 9, 9, 9, 10, 12, 15, 16, 14, 9, 4)


def to_text(at_us: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The year: from `since_us` up to, not including, `until_us`."""

    since_us: int
    until_us: int

    def some_time(self, rng: Random, day: int) -> int:
        """A moment of the given day of the year, at an hour when people are awake."""
        hour = rng.choices(range(24), _BUSY_HOURS)[0]
        return self.since_us + day * DAY_US + hour * HOUR_US + rng.randrange(HOUR_US // MILLISECOND_US) * MILLISECOND_US

    @property
    def days(self) -> int:
        return (self.until_us - self.since_us) // DAY_US


@dataclass(slots=True)
class Happening:
    """One touchpoint: `body` as it is posted by `source`, and what it is by construction. `root` is its person's root identity."""

    at_us: int
    source: str
    id: str
    stage: Stage | None
    actor: Actor
    body: dict[str, Any]
    root: str


@dataclass
class Story:
    """A household's year. `sightings` says, per handle that is shared, when it was used by which customer."""

    rng: Random
    calendar: Calendar
    shared: frozenset[str] = frozenset()
    happenings: list[Happening] = field(default_factory=list)
    sightings: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    _taken: set[int] = field(default_factory=set)

    def tell(self, at_us: int, source: str, act: str, who: Who, **fields: Any) -> int:
        """Add a touchpoint of `who` at the next free millisecond from `at_us` on; returns its time. Nothing outside the year is told."""
        while at_us in self._taken:
            at_us += MILLISECOND_US
        if not self.calendar.since_us <= at_us < self.calendar.until_us:
            return at_us
        self._taken.add(at_us)
        stage, actor = ACTS[act]
        if fields.get("case", {}).get("by") == "agent":
            actor = "business"
        body = {
            "id": f"{self.rng.getrandbits(64):016x}",
            "type": act,
            "occurred_at": to_text(at_us),
            "identities": who.seen,
            **fields,
        }
        self._remember(at_us, who.seen)
        self.happenings.append(Happening(at_us, source, body["id"], stage, actor, body, who.root))
        return at_us

    def _remember(self, at_us: int, seen: dict[str, str]) -> None:
        customer = seen.get("customer_id")
        for namespace, value in seen.items():
            handle = f"{namespace}:{value}"
            if customer is not None and handle in self.shared:
                self.sightings[handle].append((at_us, f"customer_id:{customer}"))

    def is_known(self, handle: str) -> bool:
        """Whether a shared handle has been seen with a customer."""
        return bool(self.sightings.get(handle))

    def settle(self) -> None:
        """Give what was done on a shared handle to the customer who used it last, or, before the first, to that one."""
        for sightings in self.sightings.values():
            sightings.sort()
        for happening in self.happenings:
            seen = happening.body["identities"]
            handles = [f"{namespace}:{value}" for namespace, value in seen.items()]
            if "customer_id" not in seen and len(handles) == 1 and self.is_known(handles[0]):
                happening.root = _user_at(self.sightings[handles[0]], happening.at_us)


@dataclass(frozen=True, slots=True)
class Who:
    """The identities that a touchpoint shows, and the root of the person who has it."""

    root: str
    seen: dict[str, str]


def _user_at(sightings: list[tuple[int, str]], at_us: int) -> str:
    last = bisect_right(sightings, at_us, key=lambda sighting: sighting[0]) - 1
    return sightings[max(last, 0)][1]
