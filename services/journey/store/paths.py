"""By what two identities are one person: the shortest chain of links and sightings from one to the other. In the caller's snapshot."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from itertools import combinations, pairwise
from typing import NamedTuple

from sqlalchemy import Connection

from schemas.identity import is_customer
from services.journey.domain.identity import IdentitySet
from services.journey.domain.links import Pair, pair
from services.journey.store.commands import StoredCommand, StoredCommands
from services.journey.store.evidence import Evidence, SeenTogether
from services.journey.store.identities import Identities
from services.journey.store.resolving import Resolving
from services.shared.db import Database


class Step(NamedTuple):
    """Two identities, by name, and what joins them: a link, else the newest touchpoint that shows both (None: it was erased)."""

    one: str
    other: str
    link: StoredCommand | None
    sighting: SeenTogether | None


class Paths:
    """Answers about what `resolving` knows."""

    def __init__(self, database: Database, tx: Connection, resolving: Resolving) -> None:
        self._tx, self._resolving = tx, resolving
        self._identities, self._commands, self._evidence = Identities(database), StoredCommands(database), Evidence(database, tx)

    def between(self, one: str, other: str, at_us: int) -> list[Step] | None:
        """The steps from one identity to another that belongs to the same person at a time; None if it does not.

        Of all that was ever seen of the person only what decides over the two is looked at, with all that they are linked to.
        """
        start, end = self._resolving.find(one), self._resolving.find(other)
        if start is None or end is None or self._resolving.root(start, at_us) != self._resolving.root(end, at_us):
            return None
        nodes, pairs = self._linked(self._chain(start, at_us) | self._chain(end, at_us))
        links = {couple for couple, is_link in pairs.items() if is_link}
        together = self._together(nodes, {couple for couple, is_link in pairs.items() if not is_link})
        route = _shortest(start, end, links | together.keys())
        return [self._step(*couple, links, together) for couple in pairwise(route)]

    def _chain(self, identity: int, at_us: int) -> set[int]:
        """The identities by which one comes to its owner: at most a handle that brings it along, and the owner."""
        found = {identity, self._resolving.standing(identity)}
        while True:
            owned = self._resolving.owned(identity, at_us)
            if owned.sighting is None or owned.company is None:
                return found
            (seen,) = self._identities.sets(self._tx, [owned.sighting.set_id])
            found |= {owned.company, *seen.as_sent}
            if owned.how != "seen_with_handle":
                return found
            identity, at_us = owned.company, owned.sighting.time_us

    def _linked(self, identities: Collection[int]) -> tuple[set[int], dict[Pair, bool]]:
        """These and all that they are linked to, with what was decided about them."""
        pairs: dict[Pair, bool] = {}
        level, found = set(identities), set[int]()
        while level:
            found |= level
            decided = self._commands.pairs(self._tx, level)
            pairs.update(decided)
            level = {one for couple, is_link in decided.items() if is_link for one in couple} - found
        return found, pairs

    def _together(self, nodes: Collection[int], parted: Collection[Pair]) -> dict[Pair, set[int]]:
        """The pairs of these that were seen together, but for parted ones, each with the sets that show it."""
        handles = {one for one in nodes if not is_customer(self._resolving.name(one))}
        wanted = [(handle, other, None) for handle, other in combinations(sorted(handles), 2)]
        customers = {one: self._resolving.standing(one) for one in nodes if one not in handles}
        both = [*wanted, *((handle, one, standing) for handle in handles for one, standing in customers.items())]
        found: dict[Pair, set[int]] = {}
        for seen in self._identities.sets_with_both(self._tx, both):
            shown = sorted(one for one in seen.as_sent if one in nodes and self._is_shown(seen, one))
            for couple in combinations(shown, 2):
                if couple not in parted:
                    found.setdefault(couple, set()).add(seen.id)
        return found

    def _is_shown(self, seen: IdentitySet, identity: int) -> bool:
        standing = self._resolving.standing(identity)
        return standing in seen.members and seen.tells_of(standing)

    def _step(self, one: int, other: int, links: Collection[Pair], together: Mapping[Pair, set[int]]) -> Step:
        couple = pair(one, other)
        names = self._resolving.name(one), self._resolving.name(other)
        if couple in links:
            decided = [command for command in self._commands.naming(self._tx, [one]) if other in (command.one, command.other)]
            return Step(*names, [command for command in decided if command.action == "link"][-1], None)
        newest = self._evidence.sightings(together[couple], None, 1)
        return Step(*names, None, newest[0] if newest else None)


def _shortest(start: int, end: int, couples: Collection[Pair]) -> list[int]:
    """From one to the other by the fewest steps; empty if there is no way."""
    near: dict[int, list[int]] = {}
    for one, other in sorted(couples):
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    came_from: dict[int, int | None] = {start: None}
    waiting = deque([start])
    while waiting and end not in came_from:
        here = waiting.popleft()
        for there in near.get(here, ()):
            if there not in came_from:
                came_from[there] = here
                waiting.append(there)
    route: list[int] = []
    at: int | None = end if end in came_from else None
    while at is not None:
        route.append(at)
        at = came_from[at]
    return route[::-1]
