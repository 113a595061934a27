"""A batch of touchpoints, in one transaction: lock, store once, put times right, decide who owns what, fold whom it concerns, write the facts."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from uuid import UUID, uuid4, uuid5

from sqlalchemy import Connection

from services.journey.domain.identity import NEVER_US, IdentitySet
from services.journey.migrations import HISTORY
from services.journey.store.burying import Burial, Hands, graveyard
from services.journey.store.commands import StoredCommands
from services.journey.store.folding import Affected, Folding
from services.journey.store.ghosts import Ghost
from services.journey.store.identities import END_US, Identities
from services.journey.store.outcome import Folded
from services.journey.store.ownership import Lockable, NotLocked, Ownership
from services.journey.store.people import People
from services.journey.store.rising import Risen, rise
from services.journey.store.tables import INSTALLATION
from services.journey.store.timing import Timing
from services.journey.store.touchpoints import NOBODY_YET, Incoming, Kept, New, Reference, Touchpoints, precedence
from services.journey.store.versions import next_version
from services.journey.store.weights import Weights
from services.shared.db import Database
from services.shared.migrating import migrate


def prepare(database: Database) -> UUID:
    """Bring the tables up to date; returns the namespace of the installation's person ids."""
    migrate(database, HISTORY)
    with database.preparing() as tx:  # several processes may start at once, and a sequence is not made twice in peace
        if database.is_postgres:
            tx.exec_driver_sql("CREATE SEQUENCE IF NOT EXISTS version_seq")
        database.insert(
            tx, INSTALLATION, ("id", "namespace", "epoch", "version"), [(1, str(uuid4()), 1, 0)], "ON CONFLICT (id) DO NOTHING"
        )
        key = {"key": secrets.token_hex(32)}
        database.execute(tx, "UPDATE installation SET erasure_key = :key WHERE erasure_key IS NULL", key)
        return UUID(database.execute(tx, "SELECT namespace FROM installation")[0][0])


class Writer:
    """Takes batches. `namespace` makes person ids from root identities; `limit` is the most customers a handle may have."""

    def __init__(
        self,
        namespace: UUID,
        limit: int,
        identities: Identities,
        commands: StoredCommands,
        touchpoints: Touchpoints,
        timing: Timing,
        people: People,
        folding: Folding,
        weights: Weights,
    ) -> None:
        self._namespace, self.limit = namespace, limit
        self._identities, self._commands, self._touchpoints, self._timing = identities, commands, touchpoints, timing
        self._people, self._folding, self._weights = people, folding, weights
        self._yard = graveyard(people.database, people, commands)
        self.relink: Callable[[Connection, Collection[tuple[int, int]], Collection[Lockable]], None] | None = None
        """What brings the state up when links of these pairs are void, as whoever carries out links sets it."""

    def take(self, tx: Connection, batch: Sequence[Incoming], also: Collection[Lockable] = (), *, refuses: bool = True) -> int:
        """Bring the state up to these touchpoints; returns how many were refused, because they are of somebody who is erased.

        Raises NotLocked if more has to be locked: roll back and come again with that. Without `refuses` all are kept: they were before.
        """
        if not batch:
            return 0
        ownership = self.ownership()
        held = self._timing.lock(tx, batch, {one for one in also if isinstance(one, str)})
        ownership.lock(tx, {tuple(one.derived.identities) for one in batch}, {one for one in also if isinstance(one, int)})
        risen = rise(self._yard, tx, ownership, batch) if refuses else Risen()
        batch, displaced, copied = self._first_copies(tx, ownership, risen.kept(batch))
        if not batch:
            burial = self.burial(tx, ownership, {})
            burial.count_refused(risen.dropped)
            burial.finish()
            return burial.refused
        left = ownership.admit(tx, {kept.set_id for kept in displaced}) if displaced else set()
        batch, again = self._timing.put_right(tx, ownership, batch, displaced, held)
        batch += [one.incoming for one in again]
        copied |= {(one.kept.source, one.kept.id) for one in again if one.has_copies}
        replaced = [*displaced, *(one.kept for one in again)]
        sets = ownership.learn(tx, {tuple(one.derived.identities) for one in batch})
        ids = ownership.ids
        placed = [(one, sets[tuple(ids[name] for name in one.derived.identities)]) for one in batch]
        affected: dict[int, Affected] = {}
        if replaced:
            self._replace(tx, ownership, replaced, {its_set.id for _, its_set in placed}, affected)
        new = self._store(tx, ownership, placed, affected, copied)
        moved = self._give(tx, ownership, new, [*replaced, *risen.replaced], affected)
        self._meet_on_things(tx, ownership, new, affected)
        burial = self.burial(tx, ownership, affected)
        if refuses and (risen.dropped or risen.doomed or ownership.has_marks()):
            self._refuse(burial, new, moved, risen, {one.kept.reference for one in again})
            burial.leave(left)
        self.end(tx, ownership, affected, burial, also)
        return burial.refused

    def ownership(self) -> Ownership:
        """A view of identities for one batch."""
        return Ownership(self._identities, self._touchpoints, self._commands, self._yard.hidden, self.limit)

    def burial(self, tx: Connection, ownership: Ownership, affected: dict[int, Affected]) -> Burial:
        """What a batch removes of people who are erased."""
        return Burial(
            self._yard, Hands(self._touch_things, self._touch_copies, self._move, self._timing), tx, ownership, affected
        )

    def hand_over(
        self,
        tx: Connection,
        ownership: Ownership,
        moved: Mapping[Reference, tuple[Kept, int]],
        formed: Collection[IdentitySet],
        also: Collection[Lockable] = (),
    ) -> None:
        """Give stored touchpoints to other owners, and bring all whom that concerns up to date; those of sets `formed` anew may be
        refused now, although they stay whose they are. Raises NotLocked like `take`."""
        affected: dict[int, Affected] = {}
        self._move(tx, moved, affected)
        burial = self.burial(tx, ownership, affected)
        burial.settle([*moved.values(), *((one, one.owner) for one in ownership.doubtful(tx, formed))])
        self.end(tx, ownership, affected, burial, also)

    def end(
        self,
        tx: Connection,
        ownership: Ownership,
        affected: dict[int, Affected],
        burial: Burial,
        also: Collection[Lockable] = (),
    ) -> None:
        """Bring all who are affected up to date, once nothing changes hands any more. Raises NotLocked like `take`."""
        burial.finish()
        self._bring_up(tx, ownership, affected)
        if burial.void and self.relink is not None:
            self.relink(tx, burial.void, also)
            burial.forget_emptied()

    def reconsider(self, tx: Connection, ownership: Ownership, roots: Collection[int]) -> None:
        """Releases hold for these now, or do no more. Raises NotLocked like `take`."""
        affected: dict[int, Affected] = {}
        self._folding.reconsider(tx, roots, affected)
        self._bring_up(tx, ownership, affected)

    # -- erased people ------------------------------------------------------------------------------------------------------

    def _refuse(
        self,
        burial: Burial,
        new: Sequence[New],
        moved: Mapping[Reference, tuple[Kept, int]],
        risen: Risen,
        again: Collection[Reference],
    ) -> None:
        """What resolves to somebody who is erased is not kept, nor what is a copy of a ghost; `again` ones came before."""
        kept = {one.reference: _kept(one) for one in new}
        kept.update({reference: one._replace(owner=owner) for reference, (one, owner) in moved.items()})
        came = kept.keys() - set(again)
        kept = {one.reference: one for one in burial.doubtful()} | kept
        burial.count_refused(risen.dropped)
        if risen.doomed:
            burial.remove({kept[reference]: NEVER_US for reference in risen.doomed}, came)
            moved_by_it = burial.give()
            kept = {reference: one for reference, one in kept.items() if reference not in risen.doomed}
            kept.update({one.reference: one for one, _ in moved_by_it})
        burial.settle([(one, one.owner) for one in kept.values()], came)
        burial.reveal(one.set_id for one in new)

    # -- store once, at the right time --------------------------------------------------------------------------------------

    def _first_copies(
        self, tx: Connection, ownership: Ownership, batch: Sequence[Incoming]
    ) -> tuple[list[Incoming], dict[Kept, bytes], set[tuple[str, str]]]:
        """The touchpoints of a batch that count under their anchors, the stored ones that they displace with their bodies, and the
        (source, id) that are stored under other anchors as well."""
        least: dict[Reference, Incoming] = {}
        for one in batch:
            reference = (one.derived.source, one.derived.id, ownership.ids[one.derived.anchor])
            known = least.setdefault(reference, one)
            if known is not one and _precedence(one) < _precedence(known):
                least[reference] = one
        stored = {kept.reference: kept for kept in self._touchpoints.copies(tx, {(source, id) for source, id, _ in least})}
        again = [reference for reference in least if reference in stored]
        displaced = {}
        bodies = self._touchpoints.bodies(tx, again) if again else {}
        for reference in again:
            kept = stored[reference]
            if precedence(kept.received_us, bodies[reference]) <= _precedence(least[reference]):
                del least[reference]
            else:
                displaced[kept] = bodies[reference]
        copied = {(source, id) for source, id, anchor in stored if (source, id, anchor) not in least}
        return list(least.values()), displaced, copied

    def _replace(
        self,
        tx: Connection,
        ownership: Ownership,
        replaced: list[Kept],
        needed: Collection[int],
        affected: dict[int, Affected],
    ) -> None:
        """Take displaced copies away, with what they proved; `needed` are the sets that the batch's touchpoints are in."""
        sets = {kept.set_id for kept in replaced}
        ownership.require({kept.owner for kept in replaced})
        self._touch_things(tx, sets, affected)
        self._touchpoints.remove(tx, [kept.reference for kept in replaced])
        for kept in replaced:
            affected.setdefault(kept.owner, Affected()).touch(kept.time_us, more=-1)
        ownership.forget(tx, sets.difference(needed))

    def _store(
        self,
        tx: Connection,
        ownership: Ownership,
        placed: Sequence[tuple[Incoming, IdentitySet]],
        affected: dict[int, Affected],
        copied: Collection[tuple[str, str]],
    ) -> list[New]:
        """Insert the touchpoints; those whose owner does not depend on the time get it at once."""
        seen: set[tuple[str, str]] = set()
        twice = set(copied)
        for one, _ in placed:
            pair = (one.derived.source, one.derived.id)
            (twice if pair in seen else seen).add(pair)
        owners: dict[int, int] = {}
        new = []
        for one, its_set in placed:
            if its_set.id not in owners:
                owners[its_set.id] = ownership.settled_owner(its_set) or NOBODY_YET
            owner = owners[its_set.id]
            has_copies = (one.derived.source, one.derived.id) in twice
            new.append(New(one, its_set.as_sent[0], its_set.id, owner, has_copies))
            if owner != NOBODY_YET:
                affected.setdefault(owner, Affected()).added.append(one.derived)
        self._touchpoints.append(tx, new)
        if twice:
            self._touch_copies(tx, twice, (), affected)
        return new

    # -- who owns what ------------------------------------------------------------------------------------------------------

    def _give(
        self,
        tx: Connection,
        ownership: Ownership,
        new: Sequence[New],
        replaced: Sequence[Kept | Ghost],
        affected: dict[int, Affected],
    ) -> dict[Reference, tuple[Kept, int]]:
        """Stored touchpoints that belong to somebody else now change hands; those of the batch without an owner get one."""
        came = [(one.set_id, one.incoming.derived.time_us) for one in new]
        moved = ownership.moved(tx, came + [(kept.set_id, kept.time_us) for kept in replaced])
        self._move(tx, moved, affected)
        return moved

    def _move(self, tx: Connection, moved: Mapping[Reference, tuple[Kept, int]], affected: dict[int, Affected]) -> None:
        if not moved:
            return
        self._touchpoints.own(tx, {reference: owner for reference, (_, owner) in moved.items()})
        for kept, owner in moved.values():
            affected.setdefault(owner, Affected()).touch(kept.time_us, more=1)
            if kept.owner != NOBODY_YET:
                affected.setdefault(kept.owner, Affected()).touch(kept.time_us, more=-1)
        displaced = [kept for kept, _ in moved.values()]
        self._touch_copies(tx, {(kept.source, kept.id) for kept in displaced}, displaced, affected)

    def _touch_copies(
        self, tx: Connection, ids: Collection[tuple[str, str]], displaced: Sequence[Kept], affected: dict[int, Affected]
    ) -> None:
        """Another copy of these touchpoints may count now, for whoever owns one or owned a displaced one, and on their orders and cases.

        Copies under strangers, stored at the same time by two writers, learn of each other here at the latest: when one moves.
        """
        copies = self._touchpoints.copies(tx, ids)
        several = {pair for pair, n in Counter((kept.source, kept.id) for kept in copies).items() if n > 1}
        if several:
            self._touchpoints.mark_copies(tx, several)
        times: dict[tuple[str, str], set[int]] = {}
        for kept in copies:
            times.setdefault((kept.source, kept.id), set()).add(kept.time_us)
        for kept in (*copies, *displaced):
            pair = kept.source, kept.id
            if kept.owner != NOBODY_YET:
                for time_us in times[pair]:
                    affected.setdefault(kept.owner, Affected()).touch(time_us, more=None if pair in several else 0)
        self._touch_things(tx, {kept.set_id for kept in copies}, affected)

    def _meet_on_things(self, tx: Connection, ownership: Ownership, new: Sequence[New], affected: dict[int, Affected]) -> None:
        """Orders and cases with touchpoints of several people: all of them are folded anew, from the first touchpoint about it."""
        things: dict[int, set[int]] = {}
        for one in new:
            for name in one.incoming.derived.identities:
                if name.startswith(("order:", "case:")):
                    things.setdefault(ownership.ids[name], set()).add(one.owner)
        unclear = {
            thing for thing, owners in things.items() if thing not in ownership.fresh or len(owners) > 1 or NOBODY_YET in owners
        }
        self._touch_owners(tx, unclear, affected)

    def _touch_things(self, tx: Connection, sets: Iterable[int], affected: dict[int, Affected]) -> None:
        members = {member for one in self._identities.sets(tx, set(sets)) for member in one.as_sent}
        things = {row.id for row in self._identities.read_ids(tx, members) if row.name.startswith(("order:", "case:"))}
        self._touch_owners(tx, things, affected)

    def _touch_owners(self, tx: Connection, things: Collection[int], affected: dict[int, Affected]) -> None:
        if not things:
            return
        for owners, first_us in self._touchpoints.owners_of_things(tx, things).values():
            if len(owners) > 1:
                for owner in owners - {NOBODY_YET}:
                    affected.setdefault(owner, Affected()).touch(first_us, END_US, more=0)

    # -- facts --------------------------------------------------------------------------------------------------------------

    def _bring_up(self, tx: Connection, ownership: Ownership, affected: dict[int, Affected]) -> None:
        """Fold all whom this affects, and write what comes out."""
        self._folding.follow(tx, ownership.view.identities, affected)
        ownership.require(affected.keys())
        self._write(tx, self._folding.fold(tx, affected, lambda root: self._person_id(tx, ownership, root)))

    def _person_id(self, tx: Connection, ownership: Ownership, root: int) -> UUID:
        """Of a person whose root was erased before, another one than then."""
        known = ownership.view.identities[root]
        if known.erased_us is None:
            return uuid5(self._namespace, known.name)
        return self._yard.hidden.person_id(tx, self._namespace, known.name)

    def _write(self, tx: Connection, folded: Sequence[Folded]) -> None:
        version = next_version(self._people.database, tx)
        self._people.write_months(tx, [change for one in folded for change in one.changes], version)
        people = self._weights.weigh(tx, folded, version)
        self._people.write(tx, [person._replace(version=version) for person in people])
        self._people.write_journeys(
            tx, [(one.person.root, fact) for one in folded for fact in one.ended], [id for one in folded for id in one.ended_gone]
        )
        self._people.write_cases(
            tx,
            [(one.person.root, fact) for one in folded for fact in one.cases],
            [(one.person.root, *case) for one in folded for case in one.cases_gone],
        )


def _kept(one: New) -> Kept:
    derived = one.incoming.derived
    return Kept(*one.reference, one.set_id, one.owner, derived.time_us, derived.received_us)


def _precedence(one: Incoming) -> tuple[int, bytes]:
    return precedence(one.derived.received_us, one.body)


__all__ = ["Incoming", "NotLocked", "Writer", "prepare"]
