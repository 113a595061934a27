"""One request body → the bytes of its items, so that a bad one never spoils its neighbours."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from services.shared.errors import Rejected

MAX_ITEMS = 1_000
_ARRAY = msgspec.json.Decoder(list[Raw])
TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)
"""Whole strings (the last may be cut off; possessive, so the time is linear), brackets and commas of a JSON text."""
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"


def split(body: bytes, is_lines: bool = False) -> list[bytes]:
    """The items of one object, an array or NDJSON (`is_lines`: the sender says that it is): at least one, at most MAX_ITEMS.

    Raises Rejected if there are none (`empty_body`, `empty_batch`), too many (`too_many_touchpoints`), or no structure can be
    found (`invalid_json`, `not_touchpoints`). An item may still be anything.
    """
    items = _items(body.removeprefix(_BOM).strip(_SPACE), is_lines)
    if len(items) > MAX_ITEMS:
        raise _too_many()
    return items


def _items(body: bytes, is_lines: bool) -> list[bytes]:
    if not body:
        raise Rejected("empty_body", "send a touchpoint as a JSON object, an array of them, or one a line (NDJSON)")
    if is_lines:
        return _lines(body)
    match body[0]:
        case 0x7B if body[-1] == 0x7D and (b"\n" not in body or _end_of_first(body) == len(body)):
            return [body]
        case 0x7B:
            return _lines_of_objects(body)
        case 0x5B:
            return _array(body)
    raise Rejected("not_touchpoints", "the body is neither a JSON object nor an array nor NDJSON")


def _lines(body: bytes) -> list[bytes]:
    return [line for line in map(bytes.strip, body.split(b"\n")) if line]


def _lines_of_objects(body: bytes) -> list[bytes]:
    end = _end_of_first(body)
    if end is None or b"\n" not in body[end:] or body[end:].split(b"\n", 1)[0].strip(_SPACE):
        raise _unreadable()
    return _lines(body)


def _array(body: bytes) -> list[bytes]:
    try:
        items = [bytes(item) for item in _ARRAY.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        items = _array_by_brackets(body)
    if not items:
        raise Rejected("empty_batch", "the array is empty; send at least one touchpoint")
    return items


def _end_of_first(body: bytes) -> int | None:
    """Where the value that the body begins with ends; None if it never does."""
    depth = 0
    for token in TOKEN.finditer(body):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
                if depth == 0:
                    return token.end()
    return None


def _array_by_brackets(body: bytes) -> list[bytes]:
    """Cut at the commas of the outer array, whatever lies between them."""
    items: list[bytes] = []
    depth, start = 0, 1
    for token in TOKEN.finditer(body):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
                if depth == 0:
                    break
            case b"," if depth == 1:
                items.append(body[start : token.start()].strip(_SPACE))
                start = token.end()
                if len(items) > MAX_ITEMS:
                    raise _too_many()
    if depth != 0 or token.end() != len(body):
        raise _unreadable()
    items.append(body[start:-1].strip(_SPACE))
    return items


def _too_many() -> Rejected:
    return Rejected("too_many_touchpoints", f"send at most {MAX_ITEMS:,} touchpoints a request")


def _unreadable() -> Rejected:
    return Rejected(
        "invalid_json", "the body is not complete JSON: brackets or quotes don't match; for NDJSON say application/x-ndjson"
    )
