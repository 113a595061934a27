"""What msgspec lets through or can't name: too deep, duplicate keys, NUL, lone surrogates, numbers that are not finite.

Only items that look suspicious come here; it is exact, and slow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from schemas.pointers import escape
from schemas.touchpoint import MAX_DEPTH
from services.ingest.domain.split import TOKEN
from services.shared.errors import Rejected


class _Pairs(list[tuple[str, object]]):
    """An object as its keys came, duplicates included."""


def check_depth(raw: bytes) -> None:
    """Raises Rejected("too_deep") for more than MAX_DEPTH levels of brackets outside strings."""
    depth = 0
    for token in TOKEN.finditer(raw):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise Rejected("too_deep", f"nest at most {MAX_DEPTH} levels of objects and arrays")
            case b"]" | b"}":
                depth -= 1


def check_text(raw: bytes) -> None:
    """Raises Rejected for what JSON can write and a touchpoint may not hold, or for what is no JSON at all.

    Codes: invalid_unicode, invalid_json, duplicate_key, nul_character, number_not_finite.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Rejected("invalid_unicode", f"the text is not UTF-8 (byte {error.start}); send UTF-8") from None
    try:
        whole = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise Rejected("invalid_json", f"this is not JSON: {_where(error)}") from None
    for problem in _problems(whole, ""):
        raise problem


def _where(error: Exception) -> str:
    return f"{error.msg} (character {error.pos})" if isinstance(error, json.JSONDecodeError) else "a number has too many digits"


def _problems(value: object, pointer: str) -> Iterator[Rejected]:
    match value:
        case _Pairs():
            seen: set[str] = set()
            for key, inner in value:
                at = f"{pointer}/{escape(_printable(key))}"
                yield from _in_text(key, at)
                if key in seen:
                    yield Rejected("duplicate_key", f"the key {_printable(key)!r} is there twice; send it once", at)
                seen.add(key)
                yield from _problems(inner, at)
        case list():
            for index, inner in enumerate(value):
                yield from _problems(inner, f"{pointer}/{index}")
        case str():
            yield from _in_text(value, pointer)
        case float() if not math.isfinite(value):
            yield Rejected("number_not_finite", "numbers must be finite: no NaN, no Infinity, nothing beyond 1.8e308", pointer)


def _in_text(text: str, pointer: str) -> Iterator[Rejected]:
    if "\0" in text:
        yield Rejected("nul_character", "text may not contain NUL (\\u0000)", pointer)
    if not text.isascii() and _printable(text) != text:
        yield Rejected("invalid_unicode", "the text contains half a character (a lone surrogate)", pointer)


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()
