"""A record of the topic `commands`, read: what was decided about which identities, by whom and when. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.commands import Action, Command, Done
from schemas.identity import NAMESPACE
from schemas.times import parse_time_us
from services.shared.errors import Rejected

NAMED: dict[Action, int] = {"link": 2, "unlink": 2, "erase": 1, "release": 1}
"""How many identities each action names; erase may name more."""
_command = msgspec.json.Decoder(Command)
_done = msgspec.json.Decoder(Done)


class Decision(NamedTuple):
    """A command as it came: `identities` are as many different ones as its action names; `at_us` in microseconds since 1970.

    Decisions that tell of one pair (or one person) apply in the order (at_us, id); of several with one id the least counts.
    """

    at_us: int
    id: str
    action: Action
    identities: tuple[str, ...]
    by: str
    reason: str | None


def read_decision(body: bytes) -> Decision:
    """The command in a record. Raises Rejected("invalid_command") for what is none."""
    try:
        command = _command.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("invalid_command", f"this is no command as journey publishes it: {error}") from None
    if not command.id or not command.by:
        raise Rejected("invalid_command", "a command has an id, and says who decided it")
    named, wanted = len(command.identities), NAMED[command.action]
    if named != len(set(command.identities)) or (named < wanted if command.action == "erase" else named != wanted):
        at_least = "at least " if command.action == "erase" else ""
        raise Rejected("invalid_command", f"{command.action} names {at_least}{wanted} different identities", "/identities")
    for index, identity in enumerate(command.identities):
        namespace, _, value = identity.partition(":")
        if not NAMESPACE.fullmatch(namespace) or not value:
            raise Rejected("invalid_command", "an identity is namespace:value", f"/identities/{index}")
    at_us = parse_time_us(command.at, "/at")
    return Decision(at_us, command.id, command.action, tuple(command.identities), command.by, command.reason)


def read_done(body: bytes) -> Done:
    """What a room did for a command. Raises Rejected("invalid_done") for what says nothing of that."""
    try:
        done = _done.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("invalid_done", f"this is not what a room says of a command: {error}") from None
    parse_time_us(done.at, "/at")
    return done
