"""Answers as JSON, and pages of lists as JSON or CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.shared.http.table import csv_answer, wants_csv


def json_answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def page_answer(
    request: Request,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    next_cursor: str | None,
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> Response:
    """A page of the list `name`, with what is told `beside` it. As CSV it has the rows alone, and the cursor in X-Waypost-Next-Cursor."""
    if not wants_csv(request):
        return json_answer({name: rows, "next_cursor": next_cursor, **beside})
    answer = csv_answer(rows, name)
    if next_cursor is not None:
        answer.headers["X-Waypost-Next-Cursor"] = next_cursor
    return answer
