"""The HTTP side of the KPIs' pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from services.metrics import asked
from services.metrics.pages import page
from services.shared.http import params


def router() -> APIRouter:
    """The route of the pages."""
    routes = APIRouter(tags=["metrics"])

    @routes.get(
        "/v1/kpis/{id}/page",
        summary="What a KPI is, with a worked example, as Markdown",
        response_class=Response,
        responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
    )
    def of_kpi(request: Request, id: Annotated[str, Path(description="an id of the catalogue")]) -> Response:
        params(request, ())
        return Response(page(asked.kpi_of(id)), media_type="text/markdown; charset=utf-8")

    return routes
