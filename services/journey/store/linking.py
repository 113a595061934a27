"""Carries out links and unlinks: what the identities named stand for, and which stored touchpoints change hands because of it.

Locks are taken level by level, each in byte order: the classes of the identities named, the sets that were sent with them, then
their company as far as ownership reaches (docs/decisions/0002). Cost follows that company, not the installation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from schemas.identity import is_customer
from services.journey.domain.identity import IdentitySet
from services.journey.domain.links import Pair, classes, representative
from services.journey.store.commands import StoredCommand, StoredCommands
from services.journey.store.identities import Identities
from services.journey.store.ownership import Lockable, Ownership
from services.journey.store.write import Writer


class Linking:
    """Brings the state up to commands that are kept already, in the caller's transaction."""

    def __init__(self, identities: Identities, commands: StoredCommands, writer: Writer) -> None:
        self._identities, self._commands, self._writer = identities, commands, writer
        writer.relink = self.bring_up

    def carry(self, tx: Connection, commands: Sequence[StoredCommand], also: Collection[Lockable]) -> None:
        """Carry out these links and unlinks (`commanding.Carry`)."""
        self.bring_up(tx, [(one.one, one.other) for one in commands if one.other is not None], also)

    def bring_up(self, tx: Connection, pairs: Collection[Pair], also: Collection[Lockable] = ()) -> None:
        """Something about these pairs may have changed: link, part and move whatever the kept commands say.

        Raises NotLocked if more has to be locked: roll back and come again with that.
        """
        ownership = self._writer.ownership()
        ownership.hold(tx, {one for one in also if isinstance(one, int)})
        named = {identity for pair in pairs for identity in pair}
        members, decided = self._lock_classes(tx, ownership, named)
        self._part(tx, ownership, named, decided)
        changed = _changed(ownership, members, [pair for pair, is_link in decided.items() if is_link])
        sets = self._sets(tx, ownership, changed, pairs)
        ownership.hold(tx, {member for one in sets for member in (*one.members, *one.as_sent)})
        formed = ownership.relink(tx, changed, sets)
        self._writer.hand_over(tx, ownership, ownership.moved(tx, (), formed), formed, also)

    def lock_class(self, tx: Connection, ownership: Ownership, identity: int) -> set[int]:
        """Lock all that stand for an identity, itself among them."""
        return self._lock_classes(tx, ownership, {identity})[0]

    def _lock_classes(self, tx: Connection, ownership: Ownership, named: Collection[int]) -> tuple[set[int], dict[Pair, bool]]:
        """Lock the classes that these are in, before and after; returns their members, and which of the members' pairs are linked.

        Whoever was in a class with one of them still is in one with some of them: only links between them went.
        """
        decided: dict[Pair, bool] = {}
        level, seen = set(named), set[int]()
        while level:
            ownership.hold(tx, level)
            seen |= level
            pairs = self._commands.pairs(tx, level)
            decided.update(pairs)
            level = {identity for pair, is_link in pairs.items() if is_link for identity in pair} - seen
        return seen, decided

    def _part(self, tx: Connection, ownership: Ownership, named: Collection[int], decided: dict[Pair, bool]) -> None:
        """Note which of the identities are named by an unlink that counts."""
        parted = {identity for pair, is_link in decided.items() if not is_link for identity in pair}
        known = ownership.view.identities
        flags = {identity: identity in parted for identity in named if known[identity].is_parted != (identity in parted)}
        if flags:
            self._identities.part(tx, flags)
            known.update((identity, known[identity]._replace(is_parted=flag)) for identity, flag in flags.items())

    def _sets(self, tx: Connection, ownership: Ownership, changed: Collection[int], pairs: Collection[Pair]) -> list[IdentitySet]:
        """The sets that may stand in another form now: sent with what stands for another, or with both of a pair."""
        known = ownership.view.identities

        def customer(identity: int) -> int | None:
            return known[identity].standing if is_customer(known[identity].name) else None

        found = self._identities.sets_as_sent(tx, {identity: customer(identity) for identity in changed})
        ranked = [sorted(pair, key=lambda identity: is_customer(known[identity].name)) for pair in pairs]
        both = [(handle, other, customer(other)) for handle, other in ranked if customer(handle) is None]
        found += self._identities.sets_with_both(tx, both)
        return list({one.id: one for one in found}.values())


def _changed(ownership: Ownership, identities: Collection[int], linked: Collection[Pair]) -> dict[int, int | None]:
    """What these identities, which are whole classes, stand for now (None: themselves); those where it is another than until now."""
    known = ownership.view.identities
    changed: dict[int, int | None] = {}
    for members in classes(identities, linked):
        root = representative(known[member] for member in members)
        for member in members:
            stands_for = None if member == root.id else root.id
            if known[member].stands_for != stands_for:
                changed[member] = stands_for
    return changed
