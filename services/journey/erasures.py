"""The receipt of an erasure: what was removed where, what the bus still holds and until when, where the person is only mentioned."""

from __future__ import annotations

from typing import Any

from schemas import topics
from schemas.times import DAY_US, format_time
from services.journey.desk import Desk
from services.journey.store.receipts import Receipt
from services.shared.bus import COMPACTION_LAG_S, TOMBSTONE_S
from services.shared.config import Settings

SECOND_US = 1_000_000


def receipt(desk: Desk, settings: Settings, id: str) -> dict[str, Any] | None:
    """None if no such erasure has been carried out."""
    found, rooms = desk.erasure(id)
    if found is None:
        return None
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
        "done": all(steps.values()),
        "steps": steps,
        "removed": {
            "journey": found.removed,
            "metrics": rooms.get("metrics", {}),
            "ingest": rooms.get("ingest", {}),
            "journeys": {"gone": found.months, "nulls": found.nulls},
        },
        "refused_since": found.refused,
        "held": _held(found, settings),
        "mentioned": {"touchpoints": found.mentioned, "first": found.mentions},
    }


def _held(found: Receipt, settings: Settings) -> list[dict[str, Any]]:
    """What the bus goes on holding, and until when at the latest: it forgets by age, or when it compacts."""
    by_age_us = found.applied_us + settings.retention_days * DAY_US
    compacted_us = found.applied_us + (2 * COMPACTION_LAG_S + TOMBSTONE_S) * SECOND_US
    aged = [
        {"topic": topic, "until": format_time(by_age_us), "why": f"kept for {settings.retention_days} days"}
        for topic in (topics.TOUCHPOINTS, topics.REJECTED, topics.COMMANDS)
    ]
    why = "what nulls replace goes when the topic is compacted, the nulls a day later"
    return [*aged, {"topic": topics.JOURNEYS, "until": format_time(compacted_us), "why": why}]
