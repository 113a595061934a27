"""Worked examples of KPIs: a few touchpoints as they are sent, and the rows that each KPI answers then.

One file a story: `touchpoints`, and by the KPI's id in `answers` what it `says` of them in a sentence, the `rows` (of which a few fields
suffice), and where there are any the `query` beside from, to and as_of, and `settings` of the installation. Anyone can work the numbers
out by hand; a test sends the touchpoints through all rooms and compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from msgspec import Struct, json

FROM, TO, AS_OF = "2026-03-01", "2026-04-01", "2026-07-01T00:00:00Z"


class Example(Struct, frozen=True, forbid_unknown_fields=True):
    """What a KPI answers to a story."""

    says: str
    rows: list[dict[str, Any]]
    query: dict[str, str] = {}
    settings: dict[str, str] = {}


class Story(Struct, frozen=True, forbid_unknown_fields=True):
    """Touchpoints in order, and the examples that they make, by KPI."""

    touchpoints: list[dict[str, Any]]
    answers: dict[str, Example]


@lru_cache(maxsize=1)
def stories() -> Sequence[Story]:
    """All there are."""
    named = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return [json.decode(file.read_bytes(), type=Story) for file in named]


@lru_cache(maxsize=1)
def by_kpi() -> Mapping[str, tuple[Story, Example]]:
    """The example of each KPI that has one."""
    return {kpi_id: (story, example) for story in stories() for kpi_id, example in story.answers.items()}
