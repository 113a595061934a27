"""The records of the topic `touchpoints.rejected`: what could not be processed, as it came, and why."""

from __future__ import annotations

import base64
import hashlib
from typing import TypedDict

from msgspec import Struct

MAX_KEPT_BYTES = 700_000
"""Of original bytes in one record of the bus, which holds them in base64."""
MAX_TEXT = 2_000
"""Characters of a code, a sentence or a pointer: they may quote what was sent."""
MAX_KEY_BYTES = 4_000


class RejectedRecord(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """`body` is the original item in base64, `room` where it was refused. `rejected_at` is RFC 3339 in UTC.

    Of an item of a request, `index` is its place there, `id` the id that it has or would have got, `system` that of its source;
    of a record of the bus, `topic`, `partition` and `offset` are where it is, `key` its key in base64.
    `pointer` is a JSON pointer into the item. Without `body` there are `size` and `sha256` of the original bytes: they are too
    many for a record (those of a record of the bus are where it is), or may not be kept (see `personal_data` in the settings).
    """

    source: str
    code: str
    message: str
    pointer: str
    rejected_at: str
    room: str
    body: str | None = None
    size: int | None = None
    sha256: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    key: str | None = None
    index: int | None = None
    id: str | None = None
    system: str | None = None


class Original(TypedDict, total=False):
    """The fields of a rejected record that stand for its original bytes."""

    body: str
    size: int
    sha256: str


def original(raw: bytes, may_keep: bool = True) -> Original:
    """The bytes themselves, or what is told of them where they are too many or may not be kept."""
    if may_keep and len(raw) <= MAX_KEPT_BYTES:
        return Original(body=base64.b64encode(raw).decode())
    return Original(size=len(raw), sha256=hashlib.sha256(raw).hexdigest())
