"""The records of the topic `touchpoints.rejected`: what could not be processed, as it came, and why."""

from __future__ import annotations

from msgspec import Struct


class RejectedRecord(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """`body` is the original item in base64, `room` where it was refused; `topic`, `partition` and `offset` say where it was
    read, if it was on the bus.

    `pointer` is a JSON pointer into the item. `rejected_at` is RFC 3339 in UTC.
    """

    source: str
    code: str
    message: str
    pointer: str
    body: str
    rejected_at: str
    room: str
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
