"""A record of `touchpoints.rejected` → what is stored of it, or what is wrong with it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple
from uuid import UUID

import msgspec

from schemas.rejected import MAX_TEXT, RejectedRecord
from schemas.times import parse_time_us
from schemas.topics import REJECTED
from services.shared.errors import Rejected

MAX_NAME = 200
"""Characters of a source, a code, a room, a topic or an id."""
_RECORD = msgspec.json.Decoder(RejectedRecord)
_DIGEST = 64


class Place(NamedTuple):
    """Where a record of the bus is."""

    topic: str
    partition: int
    offset: int


class Kept(NamedTuple):
    """A rejected record as it is stored, in the order of its table's columns. `body` None: its bytes are not here."""

    id: str
    at_us: int
    source: str
    code: str
    message: str
    pointer: str
    room: str
    topic: str | None
    partition: int | None
    offset: int | None
    key: bytes | None
    item_index: int | None
    item_id: str | None
    system: str | None
    body: bytes | None
    size: int
    sha256: str

    @property
    def place(self) -> Place | None:
        """Where it was read, if it was on the bus."""
        if self.topic is None or self.partition is None or self.offset is None:
            return None
        return Place(self.topic, self.partition, self.offset)

    def has_digest_of(self, body: bytes) -> bool:
        return len(body) == self.size and hashlib.sha256(body).hexdigest() == self.sha256


def read(value: bytes, at: Place) -> Kept:
    """What a record at this place says. The same record gives the same id, also when a room had to say it twice.

    Raises Rejected("invalid_record").
    """
    try:
        record = _RECORD.decode(value)
        at_us = parse_time_us(record.rejected_at, "/rejected_at")
        body = None if record.body is None else base64.b64decode(record.body, validate=True)
        key = None if record.key is None else base64.b64decode(record.key, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error, Rejected) as error:
        raise Rejected("invalid_record", f"this is no rejected record as rooms publish it: {error}") from None
    size, digest = (record.size, record.sha256) if body is None else (len(body), hashlib.sha256(body).hexdigest())
    numbers = {"partition": (record.partition, 2**31), "index": (record.index, 2**31), "offset": (record.offset, 2**62)}
    for name, (number, limit) in {**numbers, "size": (size, 2**62)}.items():
        if number is not None and not 0 <= number < limit:
            raise Rejected("invalid_record", f"this is no rejected record as rooms publish it: {name} is impossible", f"/{name}")
    if size is None or digest is None or len(digest) != _DIGEST:
        raise Rejected(
            "invalid_record", "this is no rejected record as rooms publish it: it has no body, nor its size and digest"
        )
    from_bus = record.topic is not None and record.partition is not None and record.offset is not None
    origin = (record.topic, record.partition, record.offset) if from_bus else at
    return Kept(
        id=_id(record.room, *origin, digest),
        at_us=at_us,
        source=clean(record.source, MAX_NAME),
        code=clean(record.code, MAX_NAME),
        message=clean(record.message),
        pointer=clean(record.pointer),
        room=clean(record.room, MAX_NAME),
        topic=_name(record.topic),
        partition=record.partition,
        offset=record.offset,
        key=key,
        item_index=record.index,
        item_id=_name(record.id),
        system=_name(record.system),
        body=body,
        size=size,
        sha256=digest,
    )


def unreadable(value: bytes, key: bytes, at: Place, at_us: int, reason: Rejected) -> Kept:
    """A record of `touchpoints.rejected` that says nothing readable: refused by ingest, and kept as it is."""
    digest = hashlib.sha256(value).hexdigest()
    return Kept(
        id=_id("ingest", *at, digest),
        at_us=at_us,
        source=clean(key.decode(errors="replace"), MAX_NAME),
        code=reason.code,
        message=clean(reason.message),
        pointer=clean(reason.pointer),
        room="ingest",
        topic=REJECTED,
        partition=at.partition,
        offset=at.offset,
        key=key,
        item_index=None,
        item_id=None,
        system=None,
        body=value,
        size=len(value),
        sha256=digest,
    )


def _id(*parts: object) -> str:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode(errors="replace")).digest()
    return str(UUID(bytes=digest[:16], version=5))


def clean(text: str, length: int = MAX_TEXT) -> str:
    """Short enough (names for an index), and without what a database can't hold."""
    return text[:length].replace("\0", "�").encode(errors="replace").decode()


def _name(text: str | None) -> str | None:
    return None if text is None else clean(text, MAX_NAME)
