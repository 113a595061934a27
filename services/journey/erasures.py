"""The receipt of an erasure: what was removed where, what the bus still holds and until when, which copies Waypost knows of, where the
person is only mentioned."""

from __future__ import annotations

from typing import Any

from schemas import topics
from schemas.times import DAY_US, format_time, parse_time_us
from services.journey.desk import Desk, Told
from services.journey.store.receipts import Receipt
from services.shared import backups
from services.shared.bus import COMPACTION_LAG_S, TOMBSTONE_S
from services.shared.config import Settings

SECOND_US = 1_000_000


def receipt(desk: Desk, settings: Settings, id: str) -> dict[str, Any] | None:
    """None if no such erasure has been carried out."""
    told = desk.erasure(id)
    if told is None:
        return None
    found, rooms = told.receipt, told.rooms
    steps = {
        "journey": True,
        "published": found.nulls >= found.months,
        "metrics": rooms.get("metrics", {}).get("months", 0) >= found.months,
        "ingest": "ingest" in rooms,
    }
    return {
        "id": found.id,
        "at": format_time(found.at_us),
        "applied_at": format_time(found.applied_us),
        "done": (done := all(steps.values())),
        "steps": steps,
        "removed": {
            "journey": found.removed,
            "metrics": rooms.get("metrics", {}),
            "ingest": rooms.get("ingest", {}),
            "journeys": {"gone": found.months, "nulls": found.nulls},
        },
        "refused_since": found.refused,
        "held": _held(found, settings),
        "copies": _copies(told, done, settings),
        "mentioned": {"touchpoints": found.mentioned, "first": found.mentions},
    }


def _held(found: Receipt, settings: Settings) -> list[dict[str, Any]]:
    """What the bus goes on holding, and until when at the latest: it forgets by age, or when it compacts."""
    by_age_us, compacted_us = _by_age_us(found, settings), _compacted_us(found)
    aged = [
        {"topic": topic, "until": format_time(by_age_us), "why": f"kept for {settings.retention_days} days"}
        for topic in (topics.TOUCHPOINTS, topics.REJECTED, topics.COMMANDS)
    ]
    why = "what nulls replace goes when the topic is compacted, the nulls a day later"
    return [*aged, {"topic": topics.JOURNEYS, "until": format_time(compacted_us), "why": why}]


def _by_age_us(found: Receipt, settings: Settings) -> int:
    return found.applied_us + settings.retention_days * DAY_US


def _compacted_us(found: Receipt) -> int:
    return found.applied_us + (2 * COMPACTION_LAG_S + TOMBSTONE_S) * SECOND_US


def _copies(told: Told, done: bool, settings: Settings) -> list[dict[str, Any]]:
    """Copies that may hold the person and that nobody but the operator can delete: Waypost tells where they were made."""
    copies = _backups(told, done, settings)
    if told.rebuild is not None:
        copies.append(
            _copy(
                "rebuild", told.rebuild, "a journey rebuild is under way, or was interrupted: run it to its end, or delete this"
            )
        )
    if not settings.embedded_database:
        copies.append(
            _copy("postgresql", "dead rows", "vacuum makes their room free for other rows, and nothing overwrites them before")
        )
        copies.append(_copy("postgresql", "write-ahead log", "PostgreSQL reuses or archives its files, without overwriting them"))
        copies.append(_copy("postgresql", "backups and replicas", "they are made by other tools; Waypost does not know of them"))
    return copies


def _backups(told: Told, done: bool, settings: Settings) -> list[dict[str, Any]]:
    """Those begun before every room was done hold what it had; later ones what their copy of the bus had not forgotten."""
    found = told.receipt
    last_us = max(_by_age_us(found, settings), _compacted_us(found))
    copies = []
    for backup in backups.made(settings.data):
        made_us = parse_time_us(backup.made_at, "/made_at")
        if not done or made_us <= told.last_us:
            why = "made before everything was removed"
        elif made_us <= last_us:
            why = "made afterwards: its tables are without the person, its bus held what was sent"
        else:
            continue
        copies.append(_copy("backup", backup.place, why, backup.made_at))
    return copies


def _copy(kind: str, place: str, why: str, made_at: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "place": place, "made_at": made_at, "why": why}
