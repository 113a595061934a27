"""Reads questions about rejected records: what was asked for, or a sentence that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.times import parse_time_us
from services.ingest.store.rejected import Wanted
from services.shared.http import flag

FILTERS = ("source", "code", "room", "since", "until", "replayed")


def wanted(given: Mapping[str, str]) -> Wanted:
    """The filters. Raises Rejected."""
    return Wanted(
        source=given.get("source"),
        code=given.get("code"),
        room=given.get("room"),
        since_us=parse_time_us(given["since"], "/since") if "since" in given else None,
        until_us=parse_time_us(given["until"], "/until") if "until" in given else None,
        replayed=flag(given, "replayed") if "replayed" in given else None,
    )
