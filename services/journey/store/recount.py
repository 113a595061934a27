"""Who owns a touchpoint, found out anew: from the sets of identities and the stored touchpoints alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from schemas.identity import is_customer
from services.journey.domain.identity import Identity, IdentitySet, Sighting, Timed, View, root_at
from services.journey.store.identities import BEGINNING_US, END_US, Identities
from services.shared.db import Database

MAX_KNOWN = 20_000
"""Identities and sets are forgotten once there are so many, so that memory stays bounded."""


class Recount:
    """Answers in the caller's snapshot."""

    def __init__(self, database: Database, tx: Connection, limit: int) -> None:
        self._tx, self._limit = tx, limit
        self._identities = Identities(database)
        self._forget()

    def learn(self, sets: Collection[int]) -> None:
        """Read what decides over the touchpoints of these sets."""
        if len(self._view.identities) + len(self._view.sets) > MAX_KNOWN:
            self._forget()
        found = self._add(self._identities.sets(self._tx, sets))
        anchors = {self._view.anchor(one) for one in found if one.customer is None}
        self._expand(anchors)
        bridges = {self._view.bridge(anchor, one) for anchor in anchors for one in self._view.sets_of(anchor)}
        self._expand({bridge for bridge in bridges if bridge is not None})

    def owner(self, set_id: int, time_us: int) -> int:
        """Who owns a touchpoint of a set, which was learned, at a time."""
        one = self._view.sets[set_id]
        return one.customer if one.customer is not None else root_at(self._view, self._view.anchor(one), time_us, self._evidence)

    def refused_us(self, set_id: int, root: int) -> int:
        """Up to when touchpoints of a set, which was learned, are refused if they resolve to this root."""
        return self._view.refused_us(self._view.sets[set_id], root)

    def names(self, set_id: int) -> list[str]:
        """The identities of a set, which was learned, as they were sent, the highest rank first."""
        return [self._view.identities[member].name for member in self._view.sets[set_id].as_sent]

    def _forget(self) -> None:
        self._view = View(self._limit)
        self._expanded: set[int] = set()
        self._sightings: dict[int, Sequence[Sighting]] = {}

    def _add(self, sets: Sequence[IdentitySet]) -> Sequence[IdentitySet]:
        for one in sets:
            self._view.add_set(one)
        members = {member for one in sets for member in (*one.members, *one.as_sent)} - self._view.identities.keys()
        counted = self._identities.counted(self._tx, members)
        for known in self._identities.read_ids(self._tx, members):
            customers, least = counted[known.id]
            only = least if customers == 1 else None
            marks = (known.erased_us, known.wiped_us, known.has_ghosts)
            self._view.identities[known.id] = Identity(known.id, known.name, customers, only, known.stands_for, False, *marks)
        return sets

    def _expand(self, handles: Collection[int]) -> None:
        identities = self._view.identities
        wanted = {
            one
            for one in handles
            if one not in self._expanded
            and not is_customer(identities[one].name)
            and (identities[one].customers != 1 or identities[one].has_ghosts)
            and not self._view.is_shared(one)
        }
        if wanted:
            self._add(self._identities.sets_of(self._tx, wanted))
            self._expanded |= wanted

    def _evidence(self, handle: int) -> Sequence[Sighting]:
        if handle not in self._sightings:
            rule = self._view.rule(handle)
            assert isinstance(rule, Timed)
            self._sightings[handle] = self._identities.sightings(self._tx, rule.sets, BEGINNING_US, END_US, rule.haunted)
        return self._sightings[handle]
