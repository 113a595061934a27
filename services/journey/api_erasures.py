"""Erasing a person over HTTP, and what became of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.journey import asked
from services.journey.api import PERSON, Identity
from services.journey.commands import Commands
from services.journey.desk import Desk
from services.journey.docs import ErasingAnswer, ErasureAnswer
from services.journey.erasures import receipt
from services.shared.config import Settings
from services.shared.http import After, Problem, Timeout, json_answer, params, wait_first

MAX_NAMES_BYTES = 400_000
"""What the names in one command may take; the rest is known by the first."""
By = Annotated[str | None, Query(description="who decided it; it stands in the audit log", max_length=200)]


def router(desk: Desk, commands: Commands, settings: Settings) -> APIRouter:
    """The routes of erasure; erasing is for admins (see `services.shared.http.guard`)."""
    routes = APIRouter(tags=["journey"])

    @routes.delete(PERSON, summary="Erase a person up to now", status_code=202, response_model=ErasingAnswer)
    def erase(request: Request, identity: Identity, by: By = None, after: After = None, timeout: Timeout = None) -> Response:
        """Everything that resolves to the person at this moment is removed from every store; what comes later about the time before is
        refused. `GET /v1/erasures/{id}` tells how far it is, and what is still held where until when. Who erases right after sending
        gives the receipts' tokens along: this moment is then the one at which what was sent is stitched."""
        given = params(request, ("by",))
        wanted = asked.wanted(identity, desk.normal)
        wait_first(desk.wait_for, after, timeout)
        with desk.question() as questions:
            names = _fitting(questions.names_to_erase(wanted, desk.clock()))
        published = commands.publish("erase", names, given.get("by", "").strip() or "admin")
        return json_answer({"id": published.command.id, "at": published.command.at, "token": published.token}, 202)

    @routes.get("/v1/erasures/{id}", summary="How far an erasure is, and its receipt", response_model=ErasureAnswer)
    def erasure(request: Request, id: str, after: After = None, timeout: Timeout = None) -> Response:
        params(request, ())
        wait_first(desk.wait_for, after, timeout)
        found = receipt(desk, settings, id)
        if found is None:
            message = "no erasure of this id has been carried out (yet); send its token as X-Waypost-After to wait for it"
            raise Problem(404, "unknown_erasure", message, {"id": id})
        return json_answer(found)

    return routes


def _fitting(names: list[str]) -> list[str]:
    """As many as a record may name, the first in any case."""
    size, fitting = 0, list[str]()
    for name in names:
        size += len(name.encode()) + 3
        if fitting and size > MAX_NAMES_BYTES:
            break
        fitting.append(name)
    return fitting
