"""Carries out erase commands, in the consumer's transaction.

The person is whom the command's first identity resolves to at its time E, by what is known now, with all who are linked to that. What
resolves to the person at or before E is removed; the marks that are left refuse what comes later (`burying`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection

from schemas.identity import is_customer
from services.journey.domain.commands import Decision
from services.journey.store.folding import Affected
from services.journey.store.identities import Identities
from services.journey.store.linking import Linking
from services.journey.store.ownership import Lockable
from services.journey.store.touchpoints import Touchpoints
from services.journey.store.write import Writer
from services.shared.clock import Clock
from services.shared.db import Database

LISTED = 1000
"""How many touchpoints of others that name the person a receipt lists."""


class Erasing:
    """Brings the state up to erasures."""

    def __init__(
        self, database: Database, identities: Identities, touchpoints: Touchpoints, writer: Writer, linking: Linking, clock: Clock
    ) -> None:
        self._db, self._identities, self._touchpoints = database, identities, touchpoints
        self._writer, self._linking, self._clock = writer, linking, clock

    def carry(self, tx: Connection, decisions: Sequence[Decision], also: Collection[Lockable]) -> None:
        """Carry out these, each once. Raises NotLocked if more has to be locked: roll back and come again with that."""
        for decision in sorted(decisions, key=lambda one: (one.at_us, one.id)):
            if self._begin(tx, decision):
                self._erase(tx, decision, also)

    def _begin(self, tx: Connection, decision: Decision) -> bool:
        """Whether this is the first time that the command comes."""
        rows = self._db.execute(
            tx,
            "INSERT INTO erasure (id, at_us, applied_us, removed, months, nulls, refused, mentioned) "
            "VALUES (:id, :at_us, :now_us, '{}', 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING RETURNING id",
            {"id": decision.id, "at_us": decision.at_us, "now_us": self._clock()},
        )
        return bool(rows)

    def _erase(self, tx: Connection, decision: Decision, also: Collection[Lockable]) -> None:
        name, until_us = decision.identities[0], decision.at_us
        ownership = self._writer.ownership()
        ownership.lock(tx, {(name,)}, {one for one in also if isinstance(one, int)})
        ownership.accompany(tx, {ownership.view.identities[ownership.ids[name]].standing})
        root = ownership.root(tx, ownership.ids[name], until_us)
        ownership.require([root])
        members = self._linking.lock_class(tx, ownership, root)
        affected: dict[int, Affected] = {}
        burial = self._writer.burial(tx, ownership, affected)
        names = {ownership.plain(member) for member in members}
        removed = dict.fromkeys(self._touchpoints.of_owner(tx, root, until_us), until_us)
        if removed:
            names |= self._names(tx, {kept.set_id for kept in removed})
            burial.remove(removed)
        burial.mark(dict.fromkeys(members, until_us))
        is_everybody = is_customer(ownership.view.identities[root].name)
        burial.wipe([(member, until_us) for member in members], in_any_case=is_everybody)
        burial.stir(members)
        burial.settle(burial.give())
        self._writer.end(tx, ownership, affected, burial, also)
        self._note_mentions(tx, decision.id, names)

    def _names(self, tx: Connection, sets: Collection[int]) -> set[str]:
        members = {member for one in self._identities.sets(tx, sets) for member in one.as_sent}
        return {one.name for one in self._identities.read_ids(tx, members)}

    def _note_mentions(self, tx: Connection, erasure: str, names: Collection[str]) -> None:
        """Where others' touchpoints name the person: that stays, and the receipt says so."""
        found = self._touchpoints.mentions_of(tx, names)
        listed = [{"source": source, "id": id, "kind": kind} for source, id, kind in found[:LISTED]]
        self._db.execute(
            tx,
            "UPDATE erasure SET mentioned = :n, mentions = :listed WHERE id = :id",
            {"id": erasure, "n": len(found), "listed": msgspec.json.encode(listed).decode()},
        )
