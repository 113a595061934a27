"""One HTTP request as ingest reads it: body within its limit, write keys wherever SDKs put them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from urllib.parse import parse_qs

from starlette.types import Receive

from services.ingest.domain.unzip import MAGIC, too_large, unzip
from services.shared.http import Problem

MAX_BODY_BYTES = 500 * 1024
_DRAIN_BYTES = 8 * 1024 * 1024
_LINES = frozenset({b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines"})
Headers = dict[bytes, bytes]


class Disconnected(Exception):
    """The client went away before its body was complete; there is nobody to answer."""


async def read_body(receive: Receive, headers: Headers) -> bytes:
    """The body, decompressed. Raises Rejected (body_too_large, invalid_gzip), Problem 415, or Disconnected."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    body = await _receive_all(receive)
    if encoding in (b"gzip", b"x-gzip") or body.startswith(MAGIC):
        return unzip(body, MAX_BODY_BYTES)
    if encoding not in (b"identity", b""):
        raise Problem(415, "unsupported_encoding", "send the body plain or as gzip")
    return body


async def _receive_all(receive: Receive) -> bytes:
    """The body as it came. One over the limit is read on for a while, so that its sender gets to see the answer."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        part: bytes = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
        if not message.get("more_body", False) or size > _DRAIN_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def is_lines(headers: Headers) -> bool:
    """Whether the sender says that it is NDJSON."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower() in _LINES


def sent_keys(headers: Headers, query: dict[str, str]) -> Iterator[str]:
    """The write keys in the headers and the query, in the order in which they are tried."""
    authorization = headers.get(b"authorization", b"")
    if authorization:
        scheme, _, rest = authorization.decode("latin-1").partition(" ")
        if scheme.lower() == "basic":
            yield from _basic_user(rest.strip())
        elif scheme.lower() == "bearer":
            yield rest.strip()
    if b"x-write-key" in headers:
        yield headers[b"x-write-key"].decode("latin-1").strip()
    for name in ("write_key", "writeKey"):
        if name in query:
            yield query[name]


def _basic_user(encoded: str) -> Iterator[str]:
    try:
        yield base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return


def read_query(raw: bytes) -> dict[str, str]:
    """The query's parameters; of several with one name the last."""
    return {name: values[-1] for name, values in parse_qs(raw.decode("latin-1"), keep_blank_values=True).items()} if raw else {}


def is_set(query: dict[str, str], name: str) -> bool:
    """A yes-or-no parameter. Raises Problem 400 for anything else."""
    text = query.get(name, "false").lower()
    if text in ("true", "1", ""):
        return True
    if text in ("false", "0"):
        return False
    raise Problem(400, "invalid_parameter", f"{name} is true or false")


def idempotency_key(headers: Headers) -> str | None:
    """The header Idempotency-Key. Raises Problem 400 if it is empty or longer than 255 characters."""
    raw = headers.get(b"idempotency-key")
    if raw is None:
        return None
    key = raw.decode("latin-1").strip()
    if not 1 <= len(key) <= 255:
        raise Problem(400, "invalid_idempotency_key", "an Idempotency-Key has 1 to 255 characters")
    return key
