"""The cubes of what drives contacts, who works on them, and what becomes of them."""

from __future__ import annotations

from services.metrics.domain.cube import Cube

CASE = ("stage", "channel", "topic", "product", "feature", "source")
CASE_SETS = (("stage", "channel"), ("topic",), ("product", "feature"), ("source",))

CONTACT_CUBES: tuple[Cube, ...] = (
    Cube(
        "open_cases",
        ("age", *CASE),
        tuple(("age", *names) for names in CASE_SETS),
        ("open",),
        ("case",),
        cohort="dated",
        signed=True,
    ),
    Cube(
        "complaints",
        ("reason", "topic", "product", "feature", "channel"),
        (("reason", "topic"), ("reason", "channel"), ("reason", "product", "feature")),
        ("complaints",),
        ("case",),
        cohort="dated",
        signed=True,
    ),
    Cube("effort", CASE, CASE_SETS, ("handled", "handled_ms"), ("case",), cohort="dated"),
    Cube("load", ("hour_of_week", "channel"), (("hour_of_week", "channel"),), ("opened",), ("case",)),
    Cube("agents_seen", ("channel", "agent"), (("channel", "agent"),), ("hours",), ("day",), hourly=True),
)
