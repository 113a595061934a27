"""Everything that is known at one instant, and the days that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tests.model import Command, Touchpoint
from tests.model.identity import persons
from tests.model.journeys import is_own
from tests.model.reading import histories, things, whose

MS = 1000
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
DAY_US = 86_400 * SECOND_US
WEEK_US = 7 * DAY_US


class Number(NamedTuple):
    """What a row of an answer is made of. `denominator` None: the KPI has none."""

    numerator: int
    denominator: int | None = None
    open: int = 0


Rows = Mapping[tuple[str | None, ...], Number]
"""By the values of what is never added up (currency, scale); () where there is no such thing."""


Hours = Mapping[int, list[tuple[int, int]]]
"""From and until which minute since midnight it is open, by the day of the week, Monday 0."""


class World(NamedTuple):
    """`people`: what had happened to each by `as_of_us`, in order, with what others did to their orders and cases (`own` False).

    `hours` are in UTC; None: it is always open.
    """

    people: Mapping[str, list[Touchpoint]]
    owner: Mapping[str, str]
    start_us: int
    end_us: int
    as_of_us: int
    hours: Hours | None = None

    def holds(self, at_us: int | None) -> bool:
        """Whether something that happened then is asked for, and known."""
        return at_us is not None and self.start_us <= at_us < self.end_us and at_us <= self.as_of_us

    def own(self) -> Iterator[tuple[str, Touchpoint]]:
        """Every touchpoint with whose it is."""
        return ((root, one) for root, history in self.people.items() for one in history if is_own(one))

    def about(self, kind: str) -> Iterator[tuple[str, list[Touchpoint]]]:
        """Every order (`order`) or case (`case`) that is known of: whose it is, and what happened to it in order."""
        for thing, root in self.owner.items():
            if thing.startswith(f"{kind}:"):
                events = [
                    one for one in self.people[root] if one[kind] is not None and thing in things(one) and counts(one, thing)
                ]
                if events:
                    yield root, events


def counts(touchpoint: Touchpoint, thing: str) -> bool:
    """Whether it has an effect on this order or case: of the copies that others have, one does."""
    return is_own(touchpoint) or thing in touchpoint["amends"]


def world(touchpoints: Iterable[Touchpoint], commands: Iterable[Command], start_us: int, end_us: int, as_of_us: int) -> World:
    """From the whole set of touchpoints that ever came, in whatever order."""
    everything, decided = list(touchpoints), list(commands)
    known = {
        root: [one for one in history if one["time_us"] <= as_of_us]
        for root, history in histories(everything, 100, decided).items()
    }
    return World(known, whose(persons(everything, 100, decided)), start_us, end_us, as_of_us)


def one(numerator: int, denominator: int | None = None, open: int = 0) -> Rows:
    return {(): Number(numerator, denominator, open)}
