"""Commands of a batch, in the transaction given: each is kept once, then handed to what carries out its action."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from sqlalchemy import Connection

from schemas.commands import Action
from services.journey.domain.commands import Decision
from services.journey.store.commands import StoredCommand, StoredCommands
from services.journey.store.ownership import Lockable


class Carry(Protocol):
    """Carries out commands."""

    def __call__(self, tx: Connection, commands: Sequence[StoredCommand], also: Collection[Lockable]) -> None:
        """Bring the state up to these commands, which are kept already and whose identities are locked.

        Raises NotLocked if more has to be locked than that and `also`: roll back and come again with those.
        """
        ...


Erase = Callable[[Connection, Sequence[Decision], Collection[Lockable]], None]
"""Carries out erasures. They are not kept like other commands: what they name is to be forgotten."""


class Commanding:
    """Takes commands. `actions` says what carries out which action; those that share one carrier are given to it together."""

    def __init__(self, commands: StoredCommands, actions: Mapping[Action, Carry], erase: Erase) -> None:
        self._commands, self._actions, self._erase = commands, actions, erase

    def take(self, tx: Connection, decisions: Sequence[Decision], also: Collection[Lockable] = ()) -> None:
        """Keep what is new among these, and carry it out, in its order. What came before, or comes twice, changes nothing."""
        kept = [decision for decision in decisions if decision.action != "erase"]
        self._take(tx, kept, also)
        self._erase(tx, [decision for decision in decisions if decision.action == "erase"], also)

    def _take(self, tx: Connection, decisions: Sequence[Decision], also: Collection[Lockable]) -> None:
        if not decisions:
            return
        new = [command for command in self._commands.keep(tx, decisions) if command.action in self._actions]
        for carry, commands in groupby(new, lambda command: self._actions[command.action]):
            carry(tx, list(commands), also)
