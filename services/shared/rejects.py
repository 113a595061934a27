"""Keeps records that a consuming room can't process: in `touchpoints.rejected`, with their bytes and the reason."""

from __future__ import annotations

import base64

import msgspec

from schemas.rejected import RejectedRecord
from schemas.times import format_time
from schemas.topics import REJECTED
from services.shared.bus import Bus, Outgoing, Record
from services.shared.clock import Clock
from services.shared.errors import Rejected, Unavailable

PUBLISH_TIMEOUT_S = 30.0


class Rejects:
    """Where one room's rejected records go."""

    def __init__(self, bus: Bus, room: str, clock: Clock) -> None:
        self._publisher = bus.publisher()
        self._room, self._clock = room, clock

    def keep(self, record: Record, error: Rejected) -> None:
        """Return once the record is kept durably. Raises Unavailable if that can't be said."""
        kept = RejectedRecord(
            source=self._room,
            code=error.code,
            message=error.message,
            pointer=error.pointer,
            body=base64.b64encode(record.value or b"").decode(),
            rejected_at=format_time(self._clock()),
            room=self._room,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        sent = self._publisher.publish([Outgoing(REJECTED, self._room.encode(), msgspec.json.encode(kept))])
        try:
            sent.result(PUBLISH_TIMEOUT_S)
        except TimeoutError:
            raise Unavailable("the bus does not take rejected records") from None

    def close(self) -> None:
        self._publisher.close()
