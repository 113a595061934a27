"""Why an identity is whose it is, piece by piece: sightings, links, unlinks and aliases, the newest first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from schemas.commands import alias_command_id
from schemas.identity import is_customer
from schemas.times import format_time
from services.journey.domain.evidence import Interval, intervals
from services.journey.domain.identity import Sighting
from services.journey.store.commands import StoredCommand, StoredCommands
from services.journey.store.evidence import Alias, Evidence, SeenTogether
from services.journey.store.places import Place
from services.journey.store.refolding import Derive
from services.journey.store.resolving import Grounds, Resolving
from services.shared.db import Database

Piece = SeenTogether | Alias | StoredCommand
COMMAND_RANK = -1
"""Commands come before touchpoints of the same moment."""


class Pieces(NamedTuple):
    """Rows of evidence, and the place to go on from; None: that was all."""

    rows: list[dict[str, Any]]
    next_place: Place | None


class Showing:
    """Answers in the caller's snapshot."""

    def __init__(self, database: Database, tx: Connection, resolving: Resolving, derive: Derive) -> None:
        self._tx, self._resolving, self._derive = tx, resolving, derive
        self._evidence, self._commands = Evidence(database, tx), StoredCommands(database)

    def evidence(self, identity: int, root: int, at_us: int, before: Place | None, limit: int, *, own: bool = False) -> Pieces:
        """What was ever said about an identity. Of a shared handle, only what was said of it and this root.

        With `own` the sightings in touchpoints of other people are left out of the rows.
        """
        grounds = self._resolving.grounds(identity, root)
        name = self._resolving.name(identity)
        commands = self._decisions(identity)
        found: list[Piece] = [*(one for one in commands if before is None or _place(one) < before)]
        found += self._evidence.sightings(grounds.sets, before, limit + 1)
        if is_customer(name):
            found += self._evidence.aliases(identity, name, before, limit + 1)
        found.sort(key=_place, reverse=True)
        page = found[:limit]
        spans = self._intervals(grounds, [one for one in page if isinstance(one, SeenTogether)])
        counting = _counting(commands)
        shown = [one for one in page if not own or not isinstance(one, SeenTogether) or one.owner == root]
        rows = [self._row(one, name, grounds, spans, counting, at_us) for one in shown]
        return Pieces(rows, _place(page[-1]) if len(found) > limit else None)

    def commands(self, identities: Collection[int]) -> list[StoredCommand]:
        """All commands that name any of these."""
        return self._commands.naming(self._tx, identities)

    def _decisions(self, identity: int) -> list[StoredCommand]:
        return [one for one in self.commands([identity]) if one.action in ("link", "unlink")]

    def _intervals(self, grounds: Grounds, seen: Sequence[SeenTogether]) -> Mapping[Place, Interval | None]:
        """When each sighting that decides is in effect: always, where the owner is the same at all times."""
        deciding = [one for one in seen if one.set_id in grounds.deciding]
        if grounds.settled or not deciding:
            return dict.fromkeys((one.place for one in deciding), Interval(None, None))
        oldest_us, newest_us = deciding[-1].place.time_us, deciding[0].place.time_us
        around = self._resolving.sightings(grounds.deciding, oldest_us, newest_us)
        spans = dict(zip(map(_key, around), intervals([one.time_us for one in around]), strict=True))
        return {one.place: spans[*one.place[:5], one.set_id] for one in deciding}

    def _row(
        self,
        piece: Piece,
        name: str,
        grounds: Grounds,
        spans: Mapping[Place, Interval | None],
        counting: frozenset[str],
        at_us: int,
    ) -> dict[str, Any]:
        match piece:
            case StoredCommand():
                others = [one for one in (piece.one, piece.other) if one is not None]
                named = [other for other in map(self._resolving.name, others) if other != name]
                always = Interval(None, None) if piece.id in counting else None
                return _told(piece.action, piece.at_us, named, always, at_us) | {"command": told_command(piece)}
            case Alias():
                return self._alias(piece, name, counting, at_us)
        span = spans.get(piece.place)
        derived = self._derive(piece.body)
        others_seen = [other for other in derived.identities if other != name]
        leads_to = self._resolving.name(grounds.deciding[piece.set_id]) if piece.set_id in grounds.deciding else None
        row = _told("sighting", piece.place.time_us, others_seen, span, at_us)
        return row | {"leads_to": leads_to, "touchpoint": _touchpoint(derived.source, derived.id, derived.type)}

    def _alias(self, alias: Alias, name: str, counting: frozenset[str], at_us: int) -> dict[str, Any]:
        """Without effect, unless a trusted source gave the command with it."""
        derived = self._derive(alias.body)
        pair = [derived.identities[0], alias.claimed]
        stored = self._commands.read(self._tx, [alias_command_id(derived.source, derived.id, pair)])
        always = Interval(None, None) if any(one.id in counting for one in stored) else None
        row = _told("alias", alias.place.time_us, [other for other in pair if other != name], always, at_us)
        touchpoint = _touchpoint(derived.source, derived.id, derived.type)
        return row | {"touchpoint": touchpoint, "command": told_command(stored[0]) if stored else None}


def _key(sighting: Sighting) -> tuple[int, int, int, str, str, int]:
    """A touchpoint's place; its set tells copies apart, for each is stored under the highest of its set."""
    return (*sighting[:5], sighting.set_id)


def _counting(commands: Iterable[StoredCommand]) -> frozenset[str]:
    """The ids of the newest decision about each pair; `commands` come in the order in which they apply."""
    return frozenset({frozenset((one.one, one.other)): one.id for one in commands}.values())


def _place(piece: Piece) -> Place:
    if isinstance(piece, StoredCommand):
        return Place(piece.at_us, piece.at_us, COMMAND_RANK, "", piece.id, 0)
    return piece.place


def _told(kind: str, time_us: int, named: list[str], span: Interval | None, at_us: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "time": format_time(time_us),
        "with": named,
        "in_effect": span is not None and span.holds(at_us),
        "from": _time(span.from_us) if span is not None else None,
        "until": _time(span.until_us) if span is not None else None,
        "leads_to": None,
        "touchpoint": None,
        "command": None,
    }


def _touchpoint(source: str, id: str, type: str) -> dict[str, str]:
    return {"source": source, "id": id, "type": type}


def told_command(command: StoredCommand) -> dict[str, Any]:
    """A command as answers show it."""
    at = format_time(command.at_us)
    return {"id": command.id, "action": command.action, "by": command.by, "at": at, "reason": command.reason}


def _time(us: int | None) -> str | None:
    return None if us is None else format_time(us)
