"""Rows as CSV, for `?format=csv` and `Accept: text/csv`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from services.shared.http.problems import Problem

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def wants_csv(request: Request) -> bool:
    """Whether the caller asked for CSV. Raises Problem 422 for a format that there isn't."""
    wanted = request.query_params.get("format")
    if wanted is None:
        return request.headers.get("accept", "").strip().lower().startswith("text/csv")
    if wanted not in ("csv", "json"):
        raise Problem(422, "unknown_format", "format is json or csv")
    return wanted == "csv"


def _flat(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe: type names come from strangers."""
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, list | tuple) else value


def csv_answer(rows: Sequence[Mapping[str, object]], name: str) -> Response:
    """The rows with a header line; an object in a row becomes columns `outer.inner`, a list JSON, None an empty cell."""
    flat = [dict(_flat(row)) for row in rows]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in flat)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")
