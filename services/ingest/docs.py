"""Ingest's part of the OpenAPI document, and the schemas under their published addresses."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Security
from fastapi.responses import FileResponse, Response
from fastapi.security import HTTPBearer

from schemas import documents
from services.ingest.api import Touchpoints
from services.ingest.request import Disconnected
from services.shared.http import Problem

PATH = "/v1/touchpoints"
_RECEIPT = {
    "type": "object",
    "required": ["accepted", "rejected", "results", "token"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 0},
        "rejected": {"type": "integer", "minimum": 0},
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "status"],
                "properties": {
                    "index": {"type": "integer"},
                    "id": {"type": "string"},
                    "status": {"enum": ["accepted", "duplicate", "rejected", "retry"]},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "pointer": {"type": "string", "description": "JSON pointer into the item"},
                },
            },
        },
        "token": {"type": "string", "description": "send it as X-Waypost-After to read what this request wrote"},
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["code", "message", "detail"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "detail": {"type": "object"}},
}


def _answers(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: _answers("at least one touchpoint is good, and the bus holds it durably", _RECEIPT),
    400: _answers("the body can't be read", _PROBLEM),
    401: _answers("no known write key", _PROBLEM),
    403: _answers("the source does not take requests from this page", _PROBLEM),
    413: _answers("over 500 KiB or 1,000 touchpoints after decompression", _PROBLEM),
    415: _answers("neither plain nor gzip", _PROBLEM),
    422: _answers("every touchpoint is refused; the results say why", _RECEIPT),
    503: _answers("send all of it again after Retry-After seconds", {"anyOf": [_RECEIPT, _PROBLEM]}),
}


def _parameter(where: str, name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"in": where, "name": name, "description": description, "required": False, "schema": schema}


def _operation() -> dict[str, Any]:
    one = documents.inlined("touchpoint")
    return {
        "parameters": [
            _parameter("query", "dry_run", "validate and store nothing", {"type": "boolean", "default": False}),
            _parameter("query", "write_key", "the write key, for senders without headers", {"type": "string"}),
            _parameter("header", "X-Write-Key", "the write key", {"type": "string"}),
            _parameter(
                "header",
                "Idempotency-Key",
                "gives touchpoints without an id the same ids when it comes again",
                {"type": "string"},
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}]}
                },
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
    }


def router(touchpoints: Touchpoints) -> APIRouter:
    """Routes that behave like the door, and document it."""
    made = APIRouter(tags=["ingest"])

    async def post(request: Request) -> Response:
        try:
            answer = await touchpoints.answer(request.scope, request.receive)
        except Disconnected:
            return Response(status_code=400)
        response = Response(answer.body, answer.status)
        response.raw_headers.extend(answer.headers)
        return response

    made.add_api_route(
        PATH,
        post,
        methods=["POST"],
        status_code=202,
        responses=_RESPONSES,
        openapi_extra=_operation(),
        summary="Post touchpoints",
        dependencies=[Security(HTTPBearer(scheme_name="write key", auto_error=False))],
    )
    made.add_api_route(PATH, post, methods=["OPTIONS"], include_in_schema=False)

    @made.get("/schemas/{name}/{version}", summary="A published schema", response_class=FileResponse)
    async def schema(name: str, version: str) -> FileResponse:
        file = documents.published(name, version)
        if file is None:
            raise Problem(404, "unknown_schema", f"there are version 1 of {', '.join(documents.NAMES)}")
        return FileResponse(file, media_type="application/schema+json")

    return made
