"""The HTTP side of metrics: KPIs, the stage table, transitions, the check. Every list of rows also as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from schemas.calendar import day_text
from schemas.times import format_time
from services.metrics import asked
from services.metrics.answers import CohortQuestion
from services.metrics.comparing import compared
from services.metrics.desk import Basis, Desk
from services.metrics.docs import CatalogueAnswer, CheckAnswer, KpiAnswer, StagesAnswer, TransitionsAnswer
from services.metrics.domain.catalogue import KPIS
from services.metrics.domain.contact_formulas import priced
from services.metrics.domain.kpis import Kpi
from services.metrics.domain.lift import lifted
from services.shared.http import After, Format, Timeout, check_answer, csv_answer, json_answer, wait_first, wants_csv

From = Annotated[str | None, Query(alias="from", description="first day, YYYY-MM-DD; needed")]
To = Annotated[str | None, Query(description="day after the last, YYYY-MM-DD; needed")]
AsOf = Annotated[str | None, Query(description="what was so at this instant (RFC 3339); now unless given")]


def router(desk: Desk, retention: asked.Retention) -> APIRouter:
    """The routes of metrics."""
    routes = APIRouter(tags=["metrics"])

    @routes.get("/v1/kpis", summary="The catalogue of KPIs", response_model=CatalogueAnswer)
    def catalogue(request: Request, format: Format = None) -> Response:
        rows = [_declaration(kpi) for kpi in KPIS]
        return _answer(request, "kpis", "kpis", {"kpis": rows, "next_cursor": None})

    @routes.get("/v1/kpis/{id}", summary="One KPI, by period and dimensions", response_model=KpiAnswer)
    def kpi(
        request: Request,
        id: Annotated[str, Path(description="an id of the catalogue")],
        start: From = None,
        to: To = None,
        grain: Annotated[str | None, Query(description="hour, day, week, month, quarter, year or none (the default)")] = None,
        by: Annotated[str | None, Query(description="dimensions, joined by commas; a dimension as a parameter filters")] = None,
        as_of: AsOf = None,
        compare: Annotated[str | None, Query(description="previous: with the period before, in three more fields")] = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        declared = priced(asked.kpi_of(id), desk.price)
        question = asked.kpi_question(declared, request, desk.clock(), retention)
        is_compared = asked.is_compared(request)
        wait_first(desk.wait_for, after, timeout)
        with desk.question("kpi") as (answers, basis):
            rows = compared(answers, question) if is_compared else answers.kpi(question)
        if declared.against is not None and declared.against.dim in question.by:
            rows = lifted(declared.against, rows, question.by)
        span = question.span
        body = {
            "kpi": declared.id,
            "unit": declared.unit,
            "exploratory": declared.exploratory,
            "from": day_text(span.start),
            "to": day_text(span.end),
            "grain": question.grain,
            "by": question.by,
            **_rests_on(basis, question.as_of_us),
            "rows": rows,
        }
        return _answer(request, declared.id, "rows", body)

    @routes.get("/v1/stages", summary="The stage table of the journeys that started in a range", response_model=StagesAnswer)
    def stages(
        request: Request,
        start: From = None,
        to: To = None,
        by: Annotated[str | None, Query(description="of the first touchpoint: " + ", ".join(asked.COHORT_DIMENSIONS))] = None,
        journeys: Annotated[str | None, Query(description="new (the default), returning or all")] = None,
        unit: Annotated[str | None, Query(description="journey (the default) or person")] = None,
        as_of: AsOf = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        question = asked.cohort_question(request, desk.clock(), units=True)
        wait_first(desk.wait_for, after, timeout)
        with desk.question("stages") as (answers, basis):
            started, rows = answers.stages(question)
        body = {
            **_cohort(question),
            "unit": question.unit,
            **_rests_on(basis, question.as_of_us),
            "journeys": started,
            "stages": rows,
        }
        return _answer(request, "stages", "stages", body)

    @routes.get(
        "/v1/transitions",
        summary="From which stage to which, in the journeys that started in a range",
        response_model=TransitionsAnswer,
    )
    def transitions(
        request: Request,
        start: From = None,
        to: To = None,
        by: Annotated[
            str | None, Query(description="one of the first touchpoint's " + ", ".join(asked.COHORT_DIMENSIONS))
        ] = None,
        journeys: Annotated[str | None, Query(description="new (the default), returning or all")] = None,
        as_of: AsOf = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        question = asked.cohort_question(request, desk.clock(), units=False)
        wait_first(desk.wait_for, after, timeout)
        with desk.question("transitions") as (answers, basis):
            rows = answers.transitions(question)
        body = {**_cohort(question), **_rests_on(basis, question.as_of_us), "transitions": rows}
        return _answer(request, "transitions", "transitions", body)

    @routes.get(
        "/v1/check/metrics",
        summary="Recompute all rollups from the stored facts, and those from the topic, and compare",
        response_model=CheckAnswer,
    )
    def check_metrics(request: Request, after: After = None, timeout: Timeout = None) -> Response:
        wait_first(desk.wait_for, after, timeout)
        return check_answer(request, desk.check())

    return routes


def _declaration(kpi: Kpi) -> dict[str, Any]:
    return {
        "id": kpi.id,
        "title": kpi.title,
        "unit": kpi.unit,
        "exploratory": kpi.exploratory,
        "definition": kpi.definition,
        "formula": kpi.formula.text(),
        "source": kpi.source,
        "grains": kpi.grains,
        "dimensions": kpi.dimensions,
        "dimension_sets": kpi.dimension_sets,
    }


def _cohort(question: CohortQuestion) -> dict[str, object]:
    return {
        "from": day_text(question.span.start),
        "to": day_text(question.span.end),
        "by": question.by,
        "cohort": question.journeys,
    }


def _rests_on(basis: Basis, as_of_us: int) -> dict[str, object]:
    return {"as_of": format_time(as_of_us), "complete_to": basis.complete_to, "generation": basis.generation}


def _answer(request: Request, name: str, rows_field: str, body: Mapping[str, Any]) -> Response:
    rows: Sequence[Mapping[str, object]] = body[rows_field]
    return csv_answer(rows, name) if wants_csv(request) else json_answer(body)
