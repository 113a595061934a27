"""Commands as stored: each once by id, found by the identities that they name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from schemas.commands import Action
from services.journey.domain.commands import Decision
from services.journey.domain.identity import Identity
from services.journey.domain.links import Pair, newest, pair
from services.journey.store.hiding import Hidden
from services.journey.store.identities import Identities
from services.journey.store.tables import COMMAND
from services.shared.db import Database, Keys
from services.shared.errors import Contended

_COLUMNS = ("id", "action", "one_id", "other_id", "decided_by", "at_us", "reason")
_SELECT = f"SELECT {', '.join(f'c.{column}' for column in _COLUMNS)} FROM {{k}} JOIN command c ON"


class StoredCommand(NamedTuple):
    """A command with the ids of the identities that it names; `other` is None where it names one."""

    id: str
    action: Action
    one: int
    other: int | None
    by: str
    at_us: int
    reason: str | None

    @property
    def identities(self) -> list[int]:
        return [self.one] if self.other is None else [self.one, self.other]


class StoredCommands:
    """Reads and writes in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db, self._identities, self._hidden = database, Identities(database), Hidden(database)

    def keep(self, tx: Connection, decisions: Sequence[Decision]) -> list[StoredCommand]:
        """Store commands that are not kept yet, in their order, with the identities they name locked; returns those.

        Of several with one id the least counts: one that displaces another is returned again.
        """
        least: dict[str, Decision] = {}
        for decision in decisions:
            least[decision.id] = min(least.get(decision.id, decision), decision, key=precedence_of)
        known = self._lock(tx, {name for decision in least.values() for name in decision.identities})
        least = {id: decision for id, decision in least.items() if not _is_void(decision, known)}
        ids = {name: one.id for name, one in known.items()}
        kept = {known.id: known for known in self.read(tx, least)}
        new = []
        for decision in sorted(least.values(), key=lambda decision: (decision.at_us, decision.id)):
            one, *others = (ids[name] for name in decision.identities)
            other = others[0] if others else None
            command = StoredCommand(decision.id, decision.action, one, other, decision.by, decision.at_us, decision.reason)
            if decision.id not in kept or precedence_of(command) < precedence_of(kept[decision.id]):
                new.append(command)
        self._db.delete(tx, COMMAND, Keys({"id": "text"}, [(command.id,) for command in new]))
        self._db.insert(tx, COMMAND, _COLUMNS, new)
        said = {name for command in new if command.action == "link" for name in least[command.id].identities}
        self._identities.rename(tx, {known[name].id: name for name in said if known[name].name != name})
        return new

    def _lock(self, tx: Connection, names: Collection[str]) -> dict[str, Identity]:
        """The identities of these names, made if they are missing, locked."""
        lost = self._hidden.names(tx, self._identities.make(tx, names))
        self._identities.unmake(tx, lost)
        found = {one.name: one for one in self._identities.lock(tx, set(names).difference(lost))}
        held = {one.id: one for one in self._identities.lock_ids(tx, lost.values())}
        known = found | {name: held[id] for name, id in lost.items()}
        if len(known) < len(set(names)):
            raise Contended("an identity lost its name, or got it back, while this waited for it")
        return known

    def read(self, tx: Connection, ids: Collection[str]) -> list[StoredCommand]:
        """Those of these commands that are kept."""
        rows = self._db.execute(tx, f"{_SELECT} c.id = k.id", k=Keys({"id": "text"}, [(id,) for id in sorted(ids)]))
        return [StoredCommand(*row) for row in rows]

    def naming(self, tx: Connection, identities: Collection[int]) -> list[StoredCommand]:
        """All commands that name any of these identities, in the order in which they apply."""
        keys = Keys.ids(sorted(identities))
        rows = self._db.execute(tx, f"{_SELECT} c.one_id = k.id UNION {_SELECT} c.other_id = k.id", k=keys)
        return sorted((StoredCommand(*row) for row in rows), key=lambda command: (command.at_us, command.id))

    def take_void_links(self, tx: Connection, erased: Mapping[int, int]) -> set[Pair]:
        """Forget the links that name one of these identities at or before the time up to which it is erased, and why links and unlinks
        that name one were decided; returns the pairs of those links."""
        naming = self.naming(tx, erased)
        void = [
            one
            for one in naming
            if one.action == "link" and any(one.at_us <= erased[id] for id in one.identities if id in erased)
        ]
        self._db.delete(tx, COMMAND, Keys({"id": "text"}, [(one.id,) for one in void]))
        self._db.execute(
            tx,
            "UPDATE command SET reason = NULL FROM {k} WHERE command.id = k.id",
            k=Keys({"id": "text"}, [(one.id,) for one in naming]),
        )
        return {pair(one.one, one.other) for one in void if one.other is not None}

    def linked(self, tx: Connection, identities: Collection[int]) -> set[int]:
        """Those of these identities that a link names."""
        links = [one for one in (self.naming(tx, identities) if identities else []) if one.action == "link"]
        return {id for one in links for id in one.identities if id in identities}

    def pairs(self, tx: Connection, identities: Collection[int]) -> dict[Pair, bool]:
        """The pairs that any of these identities is in by the newest link or unlink: True where it is a link."""
        decided = [one for one in self.naming(tx, identities) if one.action in ("link", "unlink")] if identities else []
        return newest((one.one, one.other, one.action == "link") for one in decided if one.other is not None)


def _is_void(decision: Decision, known: Mapping[str, Identity]) -> bool:
    """Whether a link names somebody who was erased at its time or later."""
    erased_us = [known[name].erased_us for name in decision.identities]
    return decision.action == "link" and any(until_us is not None and decision.at_us <= until_us for until_us in erased_us)


def precedence_of(command: StoredCommand | Decision) -> tuple[object, ...]:
    """Of several commands with one id the one where this is least counts."""
    return command.at_us, command.action, command.by, command.reason or ""
