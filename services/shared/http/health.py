"""Health and Prometheus: /health/live, /health/ready, /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.shared.errors import WaypostError

CHECK_TIMEOUT_S = 3.0
PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})


@dataclass(frozen=True)
class Check:
    """Something a room needs. `run` returns if it is well, raises a WaypostError that says what is wrong if not; it may block."""

    name: str
    run: Callable[[], None]


async def _outcome(check: Check) -> str:
    try:
        await asyncio.wait_for(asyncio.to_thread(check.run), CHECK_TIMEOUT_S)
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except WaypostError as error:
        return str(error) or type(error).__name__
    return "ok"


def health_router(checks: Sequence[Check], registry: CollectorRegistry) -> APIRouter:
    """`ready` answers 200 when every check is well, else 503; its body names each check with "ok" or what is wrong."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", summary="Is the process alive?")
    async def live() -> JSONResponse:
        return JSONResponse({"live": True})

    @router.get("/health/ready", summary="Can it do its work?")
    async def ready() -> JSONResponse:
        outcomes = await asyncio.gather(*map(_outcome, checks))
        well = all(outcome == "ok" for outcome in outcomes)
        named = {check.name: outcome for check, outcome in zip(checks, outcomes, strict=True)}
        return JSONResponse({"ready": well, "checks": named}, 200 if well else 503)

    @router.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
