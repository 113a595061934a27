"""The HTTP side of evidence: which people, cases and orders a number is made of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from schemas.calendar import day_text
from schemas.times import format_time
from services.metrics import asked
from services.metrics.desk import Desk
from services.metrics.docs import EvidenceAnswer
from services.metrics.evidence import evidence
from services.shared.http import (
    After,
    Cursor,
    Format,
    Limit,
    Text,
    Timeout,
    csv_answer,
    json_answer,
    next_cursor,
    wait_first,
    wants_csv,
)


def router(desk: Desk, retention: asked.Retention) -> APIRouter:
    """The route of evidence."""
    routes = APIRouter(tags=["metrics"])

    @routes.get(
        "/v1/kpis/{id}/evidence", summary="The people, cases or orders that a number is made of", response_model=EvidenceAnswer
    )
    def of_kpi(
        request: Request,
        id: Annotated[str, Path(description="an id of the catalogue")],
        of: Annotated[str | None, Query(description="numerator (unless given), denominator or open")] = None,
        start: Annotated[str | None, Query(alias="from", description="first day, YYYY-MM-DD; needed")] = None,
        to: Annotated[str | None, Query(description="day after the last, YYYY-MM-DD; needed")] = None,
        grain: Text = None,
        by: Annotated[str | None, Query(description="as of the KPI: the row of which each is evidence is told with it")] = None,
        as_of: Text = None,
        limit: Limit = None,
        cursor: Cursor = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        declared = asked.kpi_of(id)
        question, rows, since = asked.evidence_question(declared, request, desk.clock(), retention)
        wait_first(desk.wait_for, after, timeout)
        with desk.question("evidence") as (answers, basis):
            page = evidence(answers, question, rows, since)
        more = next_cursor(page.next_page) if page.next_page is not None else None
        if wants_csv(request):
            answer = csv_answer(page.rows, f"{declared.id}-evidence")
            if more is not None:
                answer.headers["X-Waypost-Next-Cursor"] = more
            return answer
        kpi = question.question
        body = {
            "kpi": declared.id,
            "of": request.query_params.get("of", "numerator"),
            "from": day_text(kpi.span.start),
            "to": day_text(kpi.span.end),
            "grain": kpi.grain,
            "by": kpi.by,
            "as_of": format_time(kpi.as_of_us),
            "complete_to": basis.complete_to,
            "generation": basis.generation,
            "total": page.total,
            "evidence": page.rows,
            "next_cursor": more,
        }
        return json_answer(body)

    return routes
