"""A check as an answer: one JSON document at its end, or a line now and then while it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.shared.checked import Checked, finished
from services.shared.errors import Unavailable

NDJSON = "application/x-ndjson"
EVERY_S = 0.2


def check_answer(request: Request, steps: Iterator[Checked]) -> Response:
    """With `Accept: application/x-ndjson`, lines {"checked": n} as it goes on, {"difference": {…}} for each, and the whole at the end;
    a check that could not be finished ends with {"error": "why"}."""
    if NDJSON in request.headers.get("accept", ""):
        first = next(steps)  # what is wrong from the start is an answer of its own
        return StreamingResponse(_lines(first, steps), media_type=NDJSON)
    return Response(_whole(finished(steps)), media_type="application/json")


def _lines(first: Checked, steps: Iterator[Checked]) -> Iterator[bytes]:
    checked, told_s = first, time.monotonic()
    try:
        for checked in steps:
            yield from _differences(checked)
            if time.monotonic() - told_s >= EVERY_S:
                told_s = time.monotonic()
                yield msgspec.json.encode({"checked": checked.checked}) + b"\n"
    except Unavailable as error:
        yield msgspec.json.encode({"error": str(error)}) + b"\n"
        return
    yield from _differences(checked)
    yield _whole(checked) + b"\n"


def _differences(checked: Checked) -> Iterator[bytes]:
    for difference in checked.take():
        yield msgspec.json.encode({"difference": difference}) + b"\n"


def _whole(checked: Checked) -> bytes:
    return msgspec.json.encode({"checked": checked.checked, "mismatches": checked.mismatches, "examples": checked.examples})
