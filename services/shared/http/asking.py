"""What questions have in common: parameters given once and known, pages, and receipts to wait for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import Header, Request

from services.shared.errors import Rejected
from services.shared.http.problems import Problem

MAX_WAIT_S, WAIT_S = 60.0, 10.0
MAX_LIMIT, LIMIT = 1000, 100
After = Annotated[
    str | None, Header(alias="X-Waypost-After", description="tokens of receipts, joined by commas: wait until they are counted")
]
Timeout = Annotated[
    str | None, Header(alias="X-Waypost-Timeout", description="how long to wait in seconds, 10 unless given, then 504")
]


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
