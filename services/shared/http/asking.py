"""What questions have in common: parameters given once and known, pages, and receipts to wait for."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Header, Query, Request

from services.shared.errors import Rejected
from services.shared.http.problems import Problem

MAX_WAIT_S, WAIT_S = 60.0, 10.0
MAX_LIMIT, LIMIT = 1000, 100
Place = TypeVar("Place")
After = Annotated[
    str | None, Header(alias="X-Waypost-After", description="tokens of receipts, joined by commas: wait until they are counted")
]
Timeout = Annotated[
    str | None, Header(alias="X-Waypost-Timeout", description="how long to wait in seconds, 10 unless given, then 504")
]
Text = Annotated[str | None, Query()]
Limit = Annotated[str | None, Query(alias="limit", description="rows of a page, at most 1,000; 100 unless given")]
Cursor = Annotated[str | None, Query(description="next_cursor of the page before")]
Format = Annotated[str | None, Query(description="json or csv")]


def params(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """The query parameters; `format` is known everywhere. Raises Rejected for one that is unknown, repeated or holds a NUL."""
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    for name, value in given:
        if name != "format" and name not in known:
            raise Rejected("unknown_parameter", f"there is no parameter {name!r}; there are {', '.join(known)}", f"/{name}")
        if names.count(name) > 1:
            raise Rejected("repeated_parameter", f"give {name!r} once", f"/{name}")
        if "\0" in value:
            raise Rejected("invalid_text", f"{name} holds a NUL character; nothing that is stored does", f"/{name}")
    return dict(given)


def limit(given: Mapping[str, str]) -> int:
    """How many rows a page has."""
    text = given.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise Rejected("invalid_limit", f"limit is a whole number from 1 to {MAX_LIMIT:,}", "/limit")
    return int(text)


def next_cursor(place: tuple[object, ...]) -> str:
    """The place of the last row of a page, as text."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_after(given: Mapping[str, str], kind: type[Place]) -> Place | None:
    """The place to go on from. Raises Rejected for a cursor that no answer gave."""
    if "cursor" not in given:
        return None
    text = given["cursor"]
    try:
        plain = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        place = msgspec.json.decode(plain, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _no_cursor() from None
    if any((isinstance(part, int) and abs(part) >= 2**62) or (isinstance(part, str) and "\0" in part) for part in _parts(place)):
        raise _no_cursor()
    return place


def _parts(place: Any) -> Iterator[Any]:
    """Every part of a place, also of one within it."""
    for part in place:
        if isinstance(part, tuple):
            yield from _parts(part)
        else:
            yield part


def _no_cursor() -> Rejected:
    return Rejected("invalid_cursor", "send next_cursor of the answer before, as it was given", "/cursor")


def flag(given: Mapping[str, str], name: str) -> bool:
    """A parameter that is there, as yes or no."""
    if given[name] not in ("true", "false"):
        raise Rejected("invalid_flag", f"{name} is true or false", f"/{name}")
    return given[name] == "true"


def wait_first(wait_for: Callable[[str, float], None], after: str | None, timeout: str | None) -> None:
    """Wait by the headers X-Waypost-After and X-Waypost-Timeout, where there are any: `wait_for(token, seconds)` does it."""
    seconds = wait_s(timeout)
    if after:
        wait_for(after, seconds)


def wait_s(text: str | None) -> float:
    """The seconds of X-Waypost-Timeout."""
    try:
        seconds = WAIT_S if text is None else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_S:
        raise Rejected("invalid_timeout", f"X-Waypost-Timeout is a number of seconds from 0 to {MAX_WAIT_S:g}")
    return seconds


def not_yet(token: str, timeout_s: float) -> Problem:
    """The answer when a receipt has not taken effect in time."""
    message = f"what this token stands for is not counted yet after {timeout_s:g} s; ask again"
    return Problem(504, "not_yet", message, {"token": token})
