"""Reads questions about rejected records: what was asked for, or a sentence that says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from schemas.times import parse_time_us
from services.ingest.store.rejected import Place, Wanted
from services.shared.errors import Rejected

FILTERS = ("source", "code", "room", "since", "until", "replayed")
_CURSOR = re.compile(r"(\d{1,18})_([0-9a-f-]{36})", re.ASCII)


def wanted(given: Mapping[str, str]) -> Wanted:
    """The filters. Raises Rejected."""
    return Wanted(
        source=given.get("source"),
        code=given.get("code"),
        room=given.get("room"),
        since_us=parse_time_us(given["since"], "/since") if "since" in given else None,
        until_us=parse_time_us(given["until"], "/until") if "until" in given else None,
        replayed=_flag(given["replayed"]) if "replayed" in given else None,
    )


def cursor(place: Place) -> str:
    """The place of the last row of a page, as text."""
    return f"{place.at_us}_{place.id}"


def after(given: Mapping[str, str]) -> Place | None:
    """The place to go on from. Raises Rejected for a cursor that no answer gave."""
    if "cursor" not in given:
        return None
    match = _CURSOR.fullmatch(given["cursor"])
    if match is None:
        raise Rejected("invalid_cursor", "send next_cursor of the answer before, as it was given", "/cursor")
    return Place(int(match[1]), match[2])


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise Rejected("invalid_flag", "replayed is true or false", "/replayed")
    return text == "true"
