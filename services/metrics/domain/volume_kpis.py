"""The KPIs of volume: touchpoints, people, visits and journeys."""

from __future__ import annotations

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Distinct, Kpi, Total

_WEB = "Web Analytics Association: Web Analytics Definitions, 2008"

PEOPLE = Kpi(
    "people",
    "Active people",
    "count",
    BY_NAME["people"],
    Distinct(BY_NAME["people_since"]),
    "Distinct people with at least one customer touchpoint in the period. Periods do not add up: who is active in two "
    "months is one person of the year.",
    source=_WEB,
)

VOLUME_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "touchpoints",
        "Touchpoints",
        "count",
        BY_NAME["touchpoints"],
        Total("touchpoints"),
        "Interactions of any kind, of customers, the business and systems, counted once each when they occurred. "
        "The stage is empty for those that belong to no journey and have none of their own.",
        source=OWN,
        grains=("hour", "day", "week", "month", "quarter", "year", "none"),
    ),
    PEOPLE,
    Kpi(
        "visits",
        "Visits",
        "count",
        BY_NAME["visits"],
        Total("visits"),
        "Runs of customer touchpoints on web, app or store without a gap of more than 30 minutes, dated at their start.",
        source=_WEB,
    ),
    Kpi(
        "journeys",
        "Journeys started",
        "count",
        BY_NAME["journeys"],
        Total("journeys"),
        "Journeys whose first customer touchpoint lies in the period; entry stage loyalty if the person had ordered before.",
        source=OWN,
    ),
)
