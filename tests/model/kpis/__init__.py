"""KPIs from whole sets of touchpoints: the definitions in docs/kpis written down a second time, with no thought of speed.

Imports nothing from `services` or `schemas`. Each function takes a `World` and gives, by the KPI's id, the numbers of its answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.model.kpis.cases import cases
from tests.model.kpis.legs import legs
from tests.model.kpis.orders import orders
from tests.model.kpis.surveys import surveys
from tests.model.kpis.voices import voices
from tests.model.kpis.volume import volume
from tests.model.kpis.world import Number, Rows, World, one, world

__all__ = ["Number", "Rows", "World", "numbers", "world"]


def numbers(world: World) -> Mapping[str, Rows]:
    """Of every KPI that is modelled here."""
    found = {**volume(world), **orders(world), **surveys(world), **cases(world), **legs(world), **voices(world)}
    opened = found["cases_opened"][()].numerator
    return {
        **found,
        "contact_rate_per_100_orders": one(opened, found["orders"][()].numerator),
        "contact_rate_per_100_people": one(opened, found["people"][()].numerator),
    }
