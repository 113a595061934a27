"""Whom a rejected record mentions, and whether somebody who is erased is among them.

Rejected records are what could not be read as it should be, so they are read leniently. A record mentions
- `=namespace:value` for each field of any object in it, under the field's name in snake_case (`userId` is `user_id`, which means
  `customer_id`), and for the key of its record on the bus; orders and cases as `=order:SYSTEM/ID` and `=case:SYSTEM/ID`;
- `value` for each text or number anywhere in it, whole and word by word, where it has MIN_LENGTH characters or more: a short
  one stands for too much else.
- `#digits` for what may be a phone number: its last PHONE_DIGITS digits, which are the same however it is written.
All are compared in one form: NFC, without case. What is no JSON is read word by word. So a record may be taken for one about
somebody by mistake, now and then, but hardly ever the other way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec

from schemas.normal import number_text
from schemas.times import parse_time_us
from services.ingest.domain.kept import Kept
from services.shared.errors import Rejected

PHONE_DIGITS = 8
MIN_LENGTH = 6
"""Of a value that is looked for under any name."""
_ALSO = {"user_id": "customer_id", "uid": "customer_id", "distinct_id": "anonymous_id", "previous_id": "anonymous_id"}
_THINGS = {"order_id": "order", "case_id": "case"}
_WORD = re.compile(r"[^\s\"'<>()\[\]{},;:=&?/\\|]+")
_QUOTED = re.compile(r'"([^"\\]{1,400})"')
_PHONE = re.compile(r"\+?\(?\d[\d ()./-]{4,}\d")
_NO_DIGIT = re.compile(r"\D", re.ASCII)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LONGEST = 400
"""Characters of a text that may be an identity as a whole."""
_TIMES = ("occurred_at", "timestamp", "originalTimestamp", "time")


def sought(identity: str) -> frozenset[str]:
    """The mentions that stand for this identity, `namespace:value` in its normal form."""
    namespace, _, value = identity.partition(":")
    found = {f"={namespace}:{_fold(value)}"}
    if namespace == "phone":
        found.update(_phone(value))
    if len(value) >= MIN_LENGTH and namespace not in _THINGS.values():
        found |= set(_forms(value))
    return frozenset(found)


def mentions(kept: Kept) -> frozenset[str]:
    """Everything that a record mentions, in its bytes, its key and its reason."""
    found = set(_words(kept.message))
    if kept.key is not None:
        namespace, _, value = kept.key.decode(errors="replace").partition(":")
        found.update(_field(namespace, value), _forms(value))
    body = kept.body or b""
    try:
        found.update(_in_json(msgspec.json.decode(body), kept.system))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace")
        found.update(_words(text))
        for quoted in _QUOTED.findall(text):
            found.update(_forms(quoted))
    return frozenset(found)


def when(kept: Kept) -> int:
    """The moment that a record is about, in microseconds: never after it was refused."""
    try:
        said = msgspec.json.decode(kept.body or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return kept.at_us
    for name in _TIMES:
        if isinstance(said, dict) and isinstance(text := said.get(name), str):
            try:
                return min(kept.at_us, parse_time_us(text))
            except Rejected:
                continue
    return kept.at_us


def _in_json(whole: object, system: str | None) -> Iterator[str]:
    """What a value holds, at any depth."""
    if isinstance(whole, dict) and isinstance(said := whole.get("system"), str):
        system = said
    left: list[tuple[str, object]] = [("", whole)]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left.extend((str(key), inner) for key, inner in value.items())
            yield from (form for key in value for form in _forms(str(key)))
        elif isinstance(value, list):
            left.extend((name, inner) for inner in value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            text = value if isinstance(value, str) else number_text(value)
            yield from _field(name, text)
            if (thing := _THINGS.get(_snake(name))) is not None and system is not None:
                yield f"={thing}:{_fold(f'{system}/{text}')}"
            yield from _forms(text)
            yield from _words(text)


def _field(name: str, text: str) -> Iterator[str]:
    namespace = _snake(name)
    if len(text) > _LONGEST:
        return
    yield f"={namespace}:{_fold(text)}"
    if namespace in _ALSO:
        yield f"={_ALSO[namespace]}:{_fold(text)}"
    before, colon, after = text.partition(":")  # an identity written as one text, such as referred_by
    if colon:
        yield f"={_snake(before)}:{_fold(after)}"


def _words(text: str) -> Iterator[str]:
    """A long text word by word, also as a part of an address (a@b.example as a%40b.example)."""
    for written in {text, unquote(text, errors="replace")}:
        for word in _WORD.findall(written):
            yield from _forms(word.strip(".-_!*"))
        for number in _PHONE.findall(written):
            yield from _forms(number)


def _forms(text: str) -> Iterator[str]:
    """The forms of a text that may stand alone."""
    if MIN_LENGTH <= len(text) <= _LONGEST:
        yield _fold(text)
        yield from _phone(text)


def _phone(text: str) -> Iterator[str]:
    if _PHONE.fullmatch(text.strip()) and len(digits := _NO_DIGIT.sub("", text)) >= PHONE_DIGITS:
        yield f"#{digits[-PHONE_DIGITS:]}"


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower().replace("-", "_").replace(" ", "_")
