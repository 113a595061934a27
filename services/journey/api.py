"""The HTTP side of journey: people, their touchpoints and identities, journeys, cases, the check. Every list also as CSV."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from services.journey import asked
from services.journey.desk import Desk
from services.journey.docs import (
    CasesAnswer,
    CheckAnswer,
    EvidenceAnswer,
    IdentitiesAnswer,
    JourneyAnswer,
    JourneysAnswer,
    PersonAnswer,
    PersonsAnswer,
    TouchpointsAnswer,
)
from services.journey.domain.state import Key
from services.journey.questions import Page
from services.journey.store.places import Place
from services.shared.http import (
    After,
    Cursor,
    Format,
    Limit,
    Text,
    Timeout,
    check_answer,
    document_answer,
    json_answer,
    limit,
    page_answer,
    params,
    place_after,
    spooled,
    wait_first,
)

SAMPLE = 200
"""How many people a check looks at unless told."""
PERSON = "/v1/persons/{identity:path}"
Identity = Annotated[str, Path(description="NAMESPACE:VALUE, such as customer_id:c-42, or person_id:UUID")]
At = Annotated[str | None, Query(description="who that was at another time (RFC 3339); now unless given")]
Of = Annotated[
    str | None, Query(description="one identity: the answer is all the evidence about it, as `evidence`, the newest first")
]
Stage = Annotated[str | None, Query(description="awareness, consideration, purchase, loyalty or advocacy")]
Flag = Annotated[str | None, Query(description="true or false")]
Time = Annotated[str | None, Query(description="RFC 3339 with an offset; `until` is not included")]


def router(desk: Desk) -> APIRouter:
    """The routes of journey."""
    routes = APIRouter(tags=["journey"])
    _people(routes, desk)
    _lists(routes, desk)

    @routes.get(
        "/v1/check/journey", summary="Recompute people from their stored touchpoints and compare", response_model=CheckAnswer
    )
    def check_journey(
        request: Request,
        sample: Annotated[str | None, Query(description=f"how many people, or all; {SAMPLE} unless given")] = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        size = asked.sample(params(request, ("sample",)), SAMPLE)
        wait_first(desk.wait_for, after, timeout)
        return check_answer(request, desk.check(size))

    return routes


def _people(routes: APIRouter, desk: Desk) -> None:
    @routes.get(PERSON + "/touchpoints", summary="A person's touchpoints, the newest first", response_model=TouchpointsAnswer)
    def touchpoints(
        request: Request,
        identity: Identity,
        at: At = None,
        limit_: Limit = None,
        cursor: Cursor = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        given = params(request, ("at", "limit", "cursor"))
        wanted, at_us = asked.wanted(identity, desk.normal), asked.at_us(given, desk.clock())
        before, rows = place_after(given, Key), limit(given)
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            page = questions.touchpoints(wanted, at_us, before, rows)
        return _page(request, "touchpoints", page)

    @routes.get(
        PERSON + "/identities",
        summary="A person's identities, and why they are one person",
        response_model=IdentitiesAnswer | EvidenceAnswer,
    )
    def identities(
        request: Request,
        identity: Identity,
        at: At = None,
        of: Of = None,
        limit_: Limit = None,
        cursor: Cursor = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        given = params(request, ("at", "of", "limit", "cursor"))
        wanted, at_us = asked.wanted(identity, desk.normal), asked.at_us(given, desk.clock())
        rows = limit(given)
        wait_first(desk.wait_for, after, timeout)
        if "of" in given:
            about, before = asked.wanted(given["of"], desk.normal), place_after(given, Place)
            with desk.question() as questions:
                return _page(request, "evidence", questions.evidence(wanted, about, at_us, before, rows))
        last = place_after(given, tuple[str])
        with desk.question() as questions:
            page = questions.identities(wanted, at_us, last[0] if last is not None else None, rows)
        return _page(request, "identities", page)

    @routes.get(
        PERSON + "/export",
        summary="Everything held on a person, as one JSON document",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    def export(request: Request, identity: Identity, at: At = None, after: After = None, timeout: Timeout = None) -> Response:
        given = params(request, ("at",))
        wanted, at_us = asked.wanted(identity, desk.normal), asked.at_us(given, desk.clock())
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            document = spooled(questions.export(wanted, at_us))
        return document_answer(document, "person.json")

    @routes.get(PERSON, summary="A person, with every journey", response_model=PersonAnswer)
    def person(request: Request, identity: Identity, at: At = None, after: After = None, timeout: Timeout = None) -> Response:
        given = params(request, ("at",))
        wanted, at_us = asked.wanted(identity, desk.normal), asked.at_us(given, desk.clock())
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            return json_answer(questions.person(wanted, at_us))


def _lists(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/v1/persons", summary="People who are set aside, and why", response_model=PersonsAnswer)
    def persons(
        request: Request,
        suspected_bot: Flag = None,
        limit_: Limit = None,
        cursor: Cursor = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        given = params(request, ("suspected_bot", "limit", "cursor"))
        asked.suspected(given)
        last, rows = place_after(given, tuple[str]), limit(given)
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            page = questions.set_aside(last[0] if last is not None else None, rows)
        return _page(request, "persons", page)

    @routes.get("/v1/journeys", summary="Journeys, the last started first", response_model=JourneysAnswer)
    def journeys(
        request: Request,
        stage: Stage = None,
        furthest: Stage = None,
        channel: Text = None,
        open: Flag = None,
        since: Time = None,
        until: Time = None,
        limit_: Limit = None,
        cursor: Cursor = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        given = params(request, asked.JOURNEYS)
        rows = limit(given)
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            page = questions.journeys(given, rows)
        return _page(request, "journeys", page)

    @routes.get("/v1/journeys/{id}", summary="One journey, also by a former id", response_model=JourneyAnswer)
    def journey(request: Request, id: str, after: After = None, timeout: Timeout = None) -> Response:
        params(request, ())
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            return json_answer(questions.journey(id))

    @routes.get("/v1/cases", summary="Service cases, the last opened first", response_model=CasesAnswer)
    def cases(
        request: Request,
        system: Text = None,
        case_id: Text = None,
        topic: Text = None,
        resolved: Flag = None,
        since: Time = None,
        until: Time = None,
        limit_: Limit = None,
        cursor: Cursor = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        given = params(request, asked.CASES)
        rows = limit(given)
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            page = questions.cases(given, rows)
        return _page(request, "cases", page)


def _page(request: Request, name: str, page: Page) -> Response:
    return page_answer(request, name, page.rows, page.next_cursor, page.beside)
