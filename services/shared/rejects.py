"""Keeps records that a consuming room can't process: in `touchpoints.rejected`, with their bytes and the reason."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from schemas.rejected import MAX_KEY_BYTES, MAX_TEXT, RejectedRecord, original
from schemas.times import format_time
from schemas.topics import REJECTED, TOUCHPOINTS
from services.shared.bus import Bus, Outgoing, Record
from services.shared.clock import Clock
from services.shared.errors import Rejected
from services.shared.publishing import held


class _Sent(msgspec.Struct):
    source: str


_SENT = msgspec.json.Decoder(_Sent)


class Rejects:
    """Where one room's rejected records go."""

    def __init__(self, bus: Bus, room: str, clock: Clock) -> None:
        self._publisher = bus.publisher()
        self._room, self._clock = room, clock

    def keep(self, record: Record, error: Rejected) -> None:
        """Return once the record is kept durably. Raises Unavailable if that can't be said, and nothing else: whatever the record
        is, what is published about it fits the bus."""
        self.keep_all([(record, error)])

    def keep_all(self, refused: Sequence[tuple[Record, Rejected]]) -> None:
        """The same for many at once."""
        records = [self._outgoing(record, error) for record, error in refused]
        held(self._publisher.publish(records), "rejected records")

    def close(self) -> None:
        self._publisher.close()

    def _outgoing(self, record: Record, error: Rejected) -> Outgoing:
        """An offset less than 0 is no place: what a rebuild finds among what is stored was on the bus a long time ago."""
        raw, is_placed = record.value or b"", record.offset >= 0
        source = _source(record) or self._room
        kept = RejectedRecord(
            source=source,
            code=_text(error.code),
            message=_text(error.message),
            pointer=_text(error.pointer),
            rejected_at=format_time(self._clock()),
            room=self._room,
            topic=record.topic,
            partition=record.partition if is_placed else None,
            offset=record.offset if is_placed else None,
            key=base64.b64encode(record.key).decode() if is_placed and len(record.key) <= MAX_KEY_BYTES else None,
            **original(raw),
        )
        return Outgoing(REJECTED, source.encode(), msgspec.json.encode(kept))


def _text(text: str) -> str:
    """Short enough, and without half characters, which JSON can't write."""
    return text[:MAX_TEXT].encode(errors="replace").decode()


def _source(record: Record) -> str | None:
    """The source of a touchpoint, if that much can be read."""
    if record.topic != TOUCHPOINTS:
        return None
    try:
        return _SENT.decode(record.value or b"").source[:MAX_TEXT]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
