"""Errors as answers: {"code": "snake_case", "message": "what to do", "detail": {…}}, whatever went wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared.errors import Misplaced, Rejected, Unavailable

LOG = logging.getLogger("waypost.http")
_KNOWN = {
    404: ("not_found", "there is nothing at this path; /docs lists what there is"),
    405: ("method_not_allowed", "this path takes other methods; the header Allow lists them"),
    413: ("body_too_large", "send a smaller body"),
}


class Problem(Exception):
    """An HTTP error of the one shape. `code` is snake_case and stable; `message` says what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail or {}
        self.headers = headers


def problem(error: Problem) -> Response:
    """The answer that says this."""
    body = msgspec.json.encode({"code": error.code, "message": error.message, "detail": error.detail})
    return Response(body, error.status, error.headers, "application/json")


def as_problem(error: Exception) -> Problem:
    """What an exception says to the caller; anything unforeseen is a 500 that tells nothing of the inside."""
    match error:
        case Problem():
            return error
        case Rejected():
            return Problem(422, error.code, error.message, {"pointer": error.pointer})
        case Unavailable():
            retry = {"Retry-After": str(error.retry_after_s)}
            return Problem(503, "unavailable", f"try again in {error.retry_after_s} s: {error}", headers=retry)
        case Misplaced():
            return Problem(503, "misplaced", str(error))
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            code, message = _KNOWN.get(error.status_code, ("http_error", str(error.detail)))
            return Problem(error.status_code, code, message, headers=error.headers)
    return Problem(500, "internal_error", "this is a defect of Waypost; its log has the details")


def _invalid(error: RequestValidationError) -> Problem:
    wrong = [{"at": ".".join(map(str, part["loc"])), "message": part["msg"]} for part in error.errors()]
    first = wrong[0] if wrong else {"at": "request", "message": "it is not valid"}
    return Problem(422, "invalid_request", f"{first['at']}: {first['message']}", {"errors": wrong})


def install(app: FastAPI) -> None:
    """Give every error of `app` the one shape, those of the framework included."""

    async def handle(_: Request, error: Exception) -> Response:
        return problem(as_problem(error))

    for kind in (Problem, Rejected, Unavailable, Misplaced, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


class Unforeseen:
    """Outermost: answers what nothing else caught with 500, and logs where it happened but no data."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:
            _log(error)
            if started:
                raise
            await problem(as_problem(error))(scope, receive, send)


def _log(error: Exception) -> None:
    """One JSON line: the kind of error and the lines it came through. Its text may hold personal data and stays out."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        lines.append(f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}")
        trace = trace.tb_next
    LOG.error(json.dumps({"event": "unforeseen_error", "error": type(error).__name__, "at": lines}))
