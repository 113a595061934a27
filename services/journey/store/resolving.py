"""Who is who at a time, and why: reads what the rules of section 6 need, and nothing more, in one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from schemas.identity import is_customer, rank_key
from services.journey.domain.explain import Owned, deciding, explain, root_of
from services.journey.domain.identity import IdentitySet, Settled, Sighting, View, in_effect
from services.journey.store.hiding import is_hidden
from services.journey.store.identities import Identities
from services.shared.db import Database


class Grounds(NamedTuple):
    """`sets` in which an identity was seen with others; those of them that are `deciding`, with whom they lead to; and whether the
    owner is the same at all times."""

    sets: frozenset[int]
    deciding: Mapping[int, int]
    settled: bool


class Resolving:
    """Answers about identities in the caller's snapshot; what it has read it keeps. `limit`: the most customers a handle may have."""

    def __init__(self, database: Database, tx: Connection, limit: int) -> None:
        self._identities, self._tx = Identities(database), tx
        self._view = View(limit)
        self._expanded: set[int] = set()

    def find(self, name: str) -> int | None:
        """The id of an identity that was ever seen, or linked."""
        for row in self._identities.read(self._tx, [name]):
            self._view.identities[row.id] = row
            return row.id
        return None

    def standing(self, identity: int) -> int:
        """The identity that an identity stands for by links: itself without any."""
        self._know([identity])
        return self._view.identities[identity].standing

    def linked_to(self, identity: int) -> str | None:
        """The name of another identity that it stands for; None if it stands for itself."""
        standing = self.standing(identity)
        return self.name(standing) if standing != identity else None

    def name(self, identity: int) -> str:
        self._know([identity])
        return self._view.identities[identity].name

    def names(self, identities: Sequence[int]) -> list[str]:
        self._know(identities)
        return [self._view.identities[one].name for one in identities]

    def root(self, identity: int, time_us: int) -> int:
        """Who owns an identity at a time."""
        identity = self.standing(identity)
        self._learn([identity])
        return root_of(self._view, identity, time_us, self._in_effect)

    def owned(self, identity: int, time_us: int) -> Owned:
        """The same with the reason."""
        identity = self.standing(identity)
        self._learn([identity], evidence=True)
        return explain(self._view, identity, time_us, self._in_effect)

    def grounds(self, identity: int, root: int) -> Grounds:
        """What there is to show of why an identity is whose it is. Of a shared handle, only where it was seen with this root."""
        standing = self.standing(identity)
        self._learn([standing], evidence=True)
        if is_customer(self.name(identity)):
            return Grounds(frozenset(), {}, True)
        companies = {} if is_customer(self.name(standing)) else deciding(self._view, standing)[1]
        sets = self._sets_of_root(root) if self._view.is_shared(standing) else self._identities.sets_of(self._tx, [identity])
        shown = frozenset(one.id for one in sets if len(one.as_sent) > 1 and identity in one.as_sent)
        return Grounds(shown, companies, isinstance(self._view.rule(standing), Settled))

    def others_of(self, identity: int, root: int) -> list[int]:
        """The other customers with whom a handle was seen that is not shared."""
        identity = self.standing(identity)
        self._learn([identity], evidence=True)
        companies = {} if is_customer(self.name(identity)) else deciding(self._view, identity)[1]
        return sorted(one for one in set(companies.values()) - {root} if is_customer(self.name(one)))

    def sightings(self, sets: Collection[int], from_us: int, to_us: int) -> Sequence[Sighting]:
        """The sightings in some sets from one time to another, with the last before and the first after, in order; ghosts too."""
        haunted = [set_id for set_id in sets if self._view.sets[set_id].has_ghosts]
        return self._identities.sightings(self._tx, sets, from_us, to_us, haunted)

    def names_of(self, root: int, time_us: int) -> dict[str, int]:
        """All identities that resolve to a root at a time, by name, in no order; those that have lost their names are not told."""
        candidates = self._candidates(root)
        self._learn(candidates)
        mine = [one for one in candidates if root_of(self._view, one, time_us, self._in_effect) == root]
        linked = [row for row in self._identities.linked_to(self._tx, mine) if row.id not in candidates]
        names = {self._view.identities[one].name: one for one in mine} | {row.name: row.id for row in linked}
        return {name: one for name, one in names.items() if not is_hidden(name)}

    def shared_by(self, root: int) -> dict[str, int]:
        """The shared handles with which a root was seen, by name."""
        seen = {member for one in self._sets_of_root(root) for member in one.members}
        shared = {self._view.identities[one].name: one for one in seen if one != root and self._view.is_shared(one)}
        return {name: one for name, one in shared.items() if not is_hidden(name)}

    def split_with(self, root: int, most: int) -> dict[str, int]:
        """The highest-ranked handles that a customer was seen with and others too, whoever owns them now; by name."""
        if not is_customer(self.name(root)):
            return {}
        seen = {member for one in self._sets_of_root(root) for member in one.members if member != root}
        split = (self._view.identities[one] for one in seen if not self._view.is_shared(one))
        ranked = sorted((known for known in split if known.customers > 1), key=lambda known: rank_key(known.name))
        return {known.name: known.id for known in ranked[:most]}

    # -- inside -------------------------------------------------------------------------------------------------------------

    def _candidates(self, root: int) -> set[int]:
        """Every identity that may resolve to a root: seen with it, or – for a customer – seen with a handle that was."""
        near = {member for one in self._sets_of_root(root) for member in one.members}
        found = {root} | {member for member in near if not self._is_anothers(member, root)}
        if is_customer(self.name(root)):
            handles = [member for member in near if member != root and not self._view.is_shared(member)]
            beyond = {member for one in self._identities.sets_of(self._tx, handles) for member in one.members}
            self._know(beyond)
            found |= {member for member in beyond if self._view.identities[member].customers == 0}
        return {one for one in found if one == root or not is_customer(self._view.identities[one].name)}

    def _is_anothers(self, identity: int, root: int) -> bool:
        known = self._view.identities[identity]
        return known.customers == 1 and known.customer != root

    def _sets_of_root(self, root: int) -> Sequence[IdentitySet]:
        """A shared handle has no company: it is nobody's, and was seen with everybody."""
        sets: Sequence[IdentitySet] = []
        if is_customer(self.name(root)):
            sets = self._identities.sets_of_customer(self._tx, root)
        elif not self._view.is_shared(root):
            sets = self._identities.sets_of(self._tx, [root])
        self._know({member for one in sets for member in one.members})
        return sets

    def _learn(self, handles: Collection[int], *, evidence: bool = False) -> None:
        """Read the sets that decide over some handles; those of a handle with one customer only where `evidence` is wanted."""
        self._know(handles)
        identities = self._view.identities
        added = self._expand(one for one in handles if evidence or identities[one].customers != 1 or identities[one].has_ghosts)
        bridges = {self._view.bridge(one, its) for one in added for its in self._view.sets_of(one)} - {None}
        self._expand(one for one in bridges if one is not None and (identities[one].customers > 1 or identities[one].has_ghosts))

    def _expand(self, handles: Iterable[int]) -> set[int]:
        wanted = {one for one in handles if one not in self._expanded and self._is_open(one)}
        sets = self._identities.sets_of(self._tx, wanted) if wanted else []
        for one in sets:
            self._view.add_set(one)
        self._know({member for one in sets for member in one.members})
        self._expanded |= wanted
        return wanted

    def _is_open(self, identity: int) -> bool:
        return not is_customer(self._view.identities[identity].name) and not self._view.is_shared(identity)

    def _know(self, ids: Collection[int]) -> None:
        missing = [one for one in ids if one not in self._view.identities]
        if missing:
            self._view.identities.update((row.id, row) for row in self._identities.read_ids(self._tx, missing))

    def _in_effect(self, sets: Sequence[int], time_us: int) -> Sighting:
        return in_effect(self.sightings(sets, time_us, time_us), time_us)
