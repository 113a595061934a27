"""The HTTP side of journey: people, their touchpoints and identities, journeys, cases, the check."""

from __future__ import annotations

from fastapi import APIRouter

from services.journey.desk import Desk


def router(desk: Desk) -> APIRouter:
    """The routes of journey."""
    return APIRouter(tags=["journey"])
