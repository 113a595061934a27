"""KPIs from whole sets of touchpoints: the definitions in docs/kpis written down a second time, with no thought of speed.

Imports nothing from `services` or `schemas`. Each function takes a `World` and gives, by the KPI's id, the numbers of its answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.model.kpis.cases import cases
from tests.model.kpis.legs import legs
from tests.model.kpis.marketing import marketing
from tests.model.kpis.opening import in_opening_hours
from tests.model.kpis.orders import orders
from tests.model.kpis.surveys import surveys
from tests.model.kpis.voices import voices
from tests.model.kpis.volume import volume
from tests.model.kpis.world import Hours, Number, Rows, World, one, world

__all__ = ["Hours", "Number", "Rows", "World", "numbers", "world"]


def numbers(world: World) -> Mapping[str, Rows]:
    """Of every KPI that is modelled here."""
    told = (volume, orders, surveys, cases, in_opening_hours, legs, marketing, voices)
    found = {kpi_id: rows for of in told for kpi_id, rows in of(world).items()}
    opened, people = found["cases_opened"][()].numerator, found["people"][()].numerator
    said = ("word_of_mouth_referrals", "word_of_mouth_shares")
    return {
        **found,
        "contact_rate_per_100_orders": one(opened, found["orders"][()].numerator),
        "contact_rate_per_100_people": one(opened, people),
        **{kpi_id: one(found[kpi_id][()].numerator, people) for kpi_id in said},
    }
