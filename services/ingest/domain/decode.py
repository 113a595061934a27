"""One item's bytes → a `Posted` touchpoint, exactly as it was sent, or what is wrong with it."""

from __future__ import annotations

import msgspec
from msgspec import field

from schemas.touchpoint import MAX_TOUCHPOINT_BYTES, Touchpoint
from services.ingest.domain import exact
from services.ingest.domain.explain import explain
from services.shared.errors import Rejected


class Posted(Touchpoint, kw_only=True):
    """A touchpoint as it may come over HTTP: a sender without headers may put its write key into the item."""

    write_key: str | None = None
    write_key_camel: str | None = field(name="writeKey", default=None)


class _Keys(msgspec.Struct):
    write_key: str | None = None
    write_key_camel: str | None = field(name="writeKey", default=None)


_POSTED = msgspec.json.Decoder(Posted)
_KEYS = msgspec.json.Decoder(_Keys)


def decode(raw: bytes) -> Posted:
    """Strictly: types, limits, no unknown fields. Raises Rejected with a code, a sentence and a pointer.

    Duplicate keys are not seen here: `accept` compares what went in with what comes out.
    """
    if len(raw) > MAX_TOUCHPOINT_BYTES:
        message = f"a touchpoint may have {MAX_TOUCHPOINT_BYTES:,} bytes, this one has {len(raw):,}; send less in properties"
        raise Rejected("touchpoint_too_large", message)
    try:
        touchpoint = _POSTED.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _reason(raw, error) from None
    for value in touchpoint.properties.values():
        if isinstance(value, dict | list):
            exact.check_depth(raw)
            break
    if b"\\" in raw and b"\\u00" in raw:
        exact.check_text(raw)
    return touchpoint


def _reason(raw: bytes, error: Exception) -> Rejected:
    try:
        exact.check_depth(raw)
        exact.check_text(raw)
    except Rejected as reason:
        return reason
    if isinstance(error, msgspec.ValidationError):
        return explain(error, msgspec.json.decode(raw))
    return Rejected("invalid_json", f"this is not JSON: {error}")


def id_of(raw: bytes) -> str | None:
    """The id that a refused item carries, if it can be read."""
    try:
        item = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) and 1 <= len(found) <= 100 else None


def keys_of(raw: bytes) -> list[str]:
    """The write keys that an item carries."""
    try:
        keys = _KEYS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [key for key in (keys.write_key, keys.write_key_camel) if key]
