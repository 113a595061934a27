"""Says on `commands.done` what a room did for commands."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.commands import Done
from schemas.topics import DONE
from services.shared.bus import Bus, Outgoing, Publisher
from services.shared.publishing import held


class Saying:
    """Publishes; opened at the first thing to say."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._opened: list[Publisher] = []

    def say(self, done: Sequence[Done]) -> None:
        """Return once the bus holds these durably. Raises Unavailable if that can't be said; saying it again does no harm."""
        if not done:
            return
        if not self._opened:
            self._opened.append(self._bus.publisher())
        records = [Outgoing(DONE, one.command.encode(), msgspec.json.encode(one)) for one in done]
        held(self._opened[0].publish(records), "what was done for commands")

    def close(self) -> None:
        for publisher in self._opened:
            publisher.close()
