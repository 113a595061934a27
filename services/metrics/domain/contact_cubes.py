"""The cubes of what drives contacts, who works on them, and what becomes of them."""

from __future__ import annotations

from services.metrics.domain.cube import Cube

CASE = ("stage", "channel", "topic", "product", "feature", "source")
CASE_SETS = (("stage", "channel"), ("topic",), ("product", "feature"), ("source",))

_CHANGE = ("pairs", "before", "after", "change", "squares")


def _change(name: str) -> Cube:
    """Answers of the same people before and after a contact."""
    return Cube(name, ("channel", "topic"), (("channel",), ("topic",)), _CHANGE, ("survey",), signed=True)


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
    Cube(
        "deflection",
        ("article", "channel", "source"),
        (("article",), ("channel", "source")),
        ("open", "decided", "deflected"),
        ("helped",),
        cohort="dated",
        signed=True,
    ),
    Cube(
        "recovery",
        ("experience", "stage", "channel", "topic"),
        tuple(("experience", name) for name in ("stage", "channel", "topic")),
        ("open", "decided", "recovered"),
        ("bad",),
        cohort="dated",
        signed=True,
    ),
    Cube(
        "slow_answers",
        ("stage", "channel", "topic", "source"),
        (("stage", "channel"), ("topic",), ("source",)),
        ("open", "decided", "abandoned"),
        ("slow",),
        cohort="dated",
        signed=True,
    ),
    Cube("mix", ("channel",), (("channel",),), ("proactive", "reactive"), ("reached", "case")),
    Cube(
        "outreach",
        ("outreach", "reason", "channel"),
        (("outreach", "reason"), ("outreach", "channel")),
        ("open", "decided", "reached", "asked", "only_before", "only_after", "control", "control_asked"),
        ("reached",),
        cohort="dated",
        signed=True,
    ),
    _change("csat_change"),
    _change("nps_change"),
    _change("ces_change"),
    Cube(
        "contact_conversion",
        ("last_contact", "channel"),
        (("last_contact", "channel"),),
        ("journeys", "converted"),
        ("step", "contact"),
        cohort="dated",
        signed=True,
        reaches_back=True,
    ),
    Cube(
        "contact_retention",
        ("last_contact",),
        (("last_contact",),),
        ("open", "active", "retained"),
        ("day",),
        cohort="dated",
        signed=True,
        foreseen=True,
        reaches_back=True,
    ),
)
