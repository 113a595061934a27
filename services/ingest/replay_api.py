"""POST /v1/rejected/replay: takes rejected records in again, after the vocabulary or the data was mended."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from msgspec import Meta, Raw
from pydantic import BaseModel, ConfigDict, Field

from schemas.times import parse_time_us
from services.ingest.replay import Asked, Outcome, Replayed, Replays
from services.ingest.store.rejected import Place, Wanted
from services.shared.errors import Rejected
from services.shared.http import json_answer, next_cursor, place_after
from services.shared.http.asking import LIMIT, MAX_LIMIT

PATH = "/v1/rejected/replay"
_FILTER = ("ids", "source", "code", "room", "since", "until", "replayed")
_Text = Annotated[str, Meta(min_length=1, max_length=200)]


class ReplayQuestion(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be replayed, as it is sent. The body is kept byte for byte."""

    by: _Text
    ids: Annotated[list[_Text], Meta(min_length=1, max_length=MAX_LIMIT)] | None = None
    source: str | None = None
    code: str | None = None
    room: str | None = None
    since: str | None = None
    until: str | None = None
    replayed: bool | None = None
    body: Raw = Raw()
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = LIMIT
    cursor: str | None = None


class ReplayBody(BaseModel):
    """The records with these ids, or all that fit the filter; at least one of both."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(min_length=1, max_length=200, description="who decided it; it stands in the audit log and with the records")
    ids: list[str] | None = Field(None, min_length=1, max_length=MAX_LIMIT)
    source: str | None = None
    code: str | None = None
    room: str | None = None
    since: str | None = Field(None, description="when it was refused: RFC 3339 with an offset; `until` is not included")
    until: str | None = None
    replayed: bool | None = Field(
        None, description="true: those that a replay has brought in already; by a filter, the others unless given"
    )
    body: Any | None = Field(None, description="takes the place of the original bytes of the one record in `ids`")
    limit: int = Field(LIMIT, ge=1, le=MAX_LIMIT, description="how many at most")
    cursor: str | None = Field(None, description="next_cursor of the answer before")


class ReplayResult(BaseModel):
    id: str
    status: str = Field(description="replayed, rejected again, or unknown: no record that fits the filter has this id")
    touchpoint_id: str | None = Field(description="of what was published")
    code: str | None = Field(description="why it is rejected again")
    message: str | None
    pointer: str | None


class ReplaysAnswer(BaseModel):
    replayed: int
    rejected: int
    results: list[ReplayResult]
    next_cursor: str | None
    token: str = Field(description="send it as X-Waypost-After to read what the replay changed")


def router(replays: Replays) -> APIRouter:
    """The route. It is for admins (see `services.shared.http.guard`)."""
    routes = APIRouter(tags=["ingest"])
    body = {"required": True, "content": {"application/json": {"schema": ReplayBody.model_json_schema()}}}

    @routes.post(
        PATH,
        summary="Take rejected records in again",
        status_code=202,
        response_model=ReplaysAnswer,
        openapi_extra={"requestBody": body},
    )
    async def replay(request: Request) -> Response:
        """Each goes the whole way of a touchpoint again, under the id and the time of receipt that it had. What is good is
        published; what is not stays rejected, with today's reason in its history. Replaying again does no harm."""
        found = _read(await request.body())
        replayed = await run_in_threadpool(replays.replay, found)
        return json_answer(_answer(replayed), 202)

    return routes


def _read(raw: bytes) -> Asked:
    """What is to be replayed. Raises Rejected."""
    try:
        question = msgspec.json.decode(raw, type=ReplayQuestion)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("invalid_request", f"this says not what is to be replayed: {error}") from None
    texts = (question.by, question.source, question.code, question.room, *(question.ids or ()))
    if any("\0" in text for text in texts if text is not None):
        raise Rejected("invalid_text", "text holds a NUL character; nothing that is stored does")
    if all(getattr(question, name) is None for name in _FILTER):
        raise Rejected("nothing_selected", f"say which records: {', '.join(_FILTER)}; replayed false means all that are left")
    mended = bytes(question.body)
    if mended and (question.ids is None or len(question.ids) != 1):
        raise Rejected("one_body_for_many", "a body takes the place of one record's bytes; name that one in ids", "/body")
    place = place_after({"cursor": question.cursor}, Place) if question.cursor is not None else None
    limit = question.limit if question.ids is None else len(question.ids)
    return Asked(_wanted(question), place, limit, question.by, mended or None)


def _wanted(question: ReplayQuestion) -> Wanted:
    replayed = False if question.replayed is None and question.ids is None else question.replayed
    return Wanted(
        source=question.source,
        code=question.code,
        room=question.room,
        since_us=parse_time_us(question.since, "/since") if question.since is not None else None,
        until_us=parse_time_us(question.until, "/until") if question.until is not None else None,
        replayed=replayed,
        ids=tuple(question.ids or ()),
    )


def _answer(replayed: Replayed) -> dict[str, Any]:
    results = [_result(outcome) for outcome in replayed.outcomes] + [_unknown(id) for id in replayed.unknown]
    return {
        "replayed": sum(result["status"] == "replayed" for result in results),
        "rejected": sum(result["status"] == "rejected" for result in results),
        "results": results,
        "next_cursor": next_cursor(replayed.next) if replayed.next is not None else None,
        "token": replayed.token,
    }


def _result(outcome: Outcome) -> dict[str, Any]:
    problem = outcome.problem
    return {
        "id": outcome.kept.id,
        "status": "replayed" if problem is None else "rejected",
        "touchpoint_id": outcome.id,
        "code": problem.code if problem is not None else None,
        "message": problem.message if problem is not None else None,
        "pointer": problem.pointer if problem is not None else None,
    }


def _unknown(id: str) -> dict[str, Any]:
    return {"id": id, "status": "unknown", "touchpoint_id": None, "code": None, "message": None, "pointer": None}
