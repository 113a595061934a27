"""Publishes commands: recorded decisions about identities and people (`schemas.commands`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from schemas import ids, tokens, topics
from schemas.commands import Action, Command
from schemas.times import format_time
from services.shared.bus import Outgoing, Publisher
from services.shared.clock import Clock
from services.shared.errors import Unavailable
from services.shared.log import Log
from services.shared.publishing import held


class Published(NamedTuple):
    """A command that the bus holds, and the token to wait for its effect with."""

    command: Command
    token: str


class Commands:
    """Publishes on the topic `commands`, and logs each decision: its id, what, and who; never about whom. Thread-safe."""

    def __init__(self, publisher: Publisher, clock: Clock, log: Log) -> None:
        self._publisher, self._clock, self._log = publisher, clock, log

    def publish(self, action: Action, identities: Sequence[str], by: str, reason: str | None = None) -> Published:
        """Record that `by` decided this now; returns once the bus holds it durably. Blocks.

        Raises Unavailable if that can't be said. It may have been recorded all the same: decide again, which does no harm.
        """
        now_us = self._clock()
        id = ids.timed(now_us, os.urandom)(0)
        at = format_time(now_us)
        command = Command(id=id, action=action, identities=list(identities), by=by, at=at, reason=reason)
        try:
            token = self._publish(command)
        except Unavailable:
            self._log.warning("admin_action", action=action, command=id, by=by, published=False)
            raise
        self._log.info("admin_action", action=action, command=id, by=by, published=True)
        return Published(command, token)

    def close(self) -> None:
        self._publisher.close()

    def _publish(self, command: Command) -> str:
        record = Outgoing(topics.COMMANDS, command.key, msgspec.json.encode(command))
        (position,) = held(self._publisher.publish([record]), "commands")
        return tokens.encode([(topics.COMMANDS, *position)])
