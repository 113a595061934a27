"""GET /v1/rejected: what was refused, by any room, with the reason and the original bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from schemas.times import format_time
from services.ingest import asked
from services.ingest.desk import Desk, Page
from services.ingest.store.rejected import Listed, Place, Replay
from services.shared.http import (
    After,
    Cursor,
    Format,
    Limit,
    Text,
    Timeout,
    limit,
    next_cursor,
    page_answer,
    params,
    place_after,
    wait_first,
)

PATH = "/v1/rejected"
Time = Annotated[str | None, Query(description="when it was refused: RFC 3339 with an offset; `until` is not included")]
Flag = Annotated[str | None, Query(description="true: those that a replay has brought in; false: the others")]


class ReplayAnswer(BaseModel):
    at: str
    status: str = Field(description="replayed, or rejected again")
    code: str | None
    message: str | None
    pointer: str | None
    mended: bool = Field(description="whether another body took the place of the original one")
    by: str


class RejectedRow(BaseModel):
    id: str
    rejected_at: str
    source: str
    code: str
    message: str
    pointer: str = Field(description="JSON pointer into the item")
    room: str = Field(description="the room that refused it")
    topic: str | None = Field(description="with partition and offset: where the room had read it; null for an item of a request")
    partition: int | None
    offset: int | None
    index: int | None = Field(description="the item's place in its request")
    touchpoint_id: str | None = Field(description="the id that it has, or gets when it is replayed")
    body: str | None = Field(description="the original bytes, where they are text")
    body_base64: str | None = Field(description="the original bytes, where they are not")
    size: int = Field(description="how many bytes there were; without a body they could not be kept")
    sha256: str = Field(description="of the original bytes")
    replayed_at: str | None = Field(description="when a replay was accepted last")
    replays: list[ReplayAnswer] = Field(description="what became of each replay, the oldest first")


class RejectedAnswer(BaseModel):
    rejected: list[RejectedRow]
    next_cursor: str | None
    total: int = Field(description="how many the filter finds")
    codes: dict[str, int] = Field(description="of these, how many there are of each code")
    sources: dict[str, int] = Field(description="and of each source")


def router(desk: Desk) -> APIRouter:
    """The route. Nobody reads it without a read token, where there are tokens (see `services.shared.http.guard`)."""
    routes = APIRouter(tags=["ingest"])

    @routes.get(PATH, summary="What was refused, the newest first", response_model=RejectedAnswer)
    def rejected(
        request: Request,
        source: Text = None,
        code: Text = None,
        room: Text = None,
        since: Time = None,
        until: Time = None,
        replayed: Flag = None,
        limit_: Limit = None,
        cursor: Cursor = None,
        format: Format = None,
        after: After = None,
        timeout: Timeout = None,
    ) -> Response:
        given = params(request, (*asked.FILTERS, "limit", "cursor"))
        wanted, place, rows = asked.wanted(given), place_after(given, Place), limit(given)
        wait_first(desk.wait_for, after, timeout)
        return _page(request, desk.page(wanted, place, rows))

    return routes


def _page(request: Request, page: Page) -> Response:
    rows = [row(listed, replays) for listed, replays in page.rows]
    codes, sources = dict[str, int](), dict[str, int]()
    for counted in page.counts:
        codes[counted.code] = codes.get(counted.code, 0) + counted.number
        sources[counted.source] = sources.get(counted.source, 0) + counted.number
    beside = {"total": sum(codes.values()), "codes": codes, "sources": sources}
    return page_answer(request, "rejected", rows, next_cursor(page.next) if page.next is not None else None, beside)


def row(listed: Listed, replays: Sequence[Replay]) -> dict[str, Any]:
    """One record as it is shown."""
    kept, replayed_us = listed
    text = _text(kept.body)
    return {
        "id": kept.id,
        "rejected_at": format_time(kept.at_us),
        "source": kept.source,
        "code": kept.code,
        "message": kept.message,
        "pointer": kept.pointer,
        "room": kept.room,
        "topic": kept.topic,
        "partition": kept.partition,
        "offset": kept.offset,
        "index": kept.item_index,
        "touchpoint_id": kept.item_id,
        "body": text,
        "body_base64": base64.b64encode(kept.body).decode() if kept.body is not None and text is None else None,
        "size": kept.size,
        "sha256": kept.sha256,
        "replayed_at": format_time(replayed_us) if replayed_us is not None else None,
        "replays": [_replay(replay) for replay in replays],
    }


def _replay(replay: Replay) -> dict[str, Any]:
    """One replay of its history as it is shown."""
    return {
        "at": format_time(replay.at_us),
        "status": replay.status,
        "code": replay.code,
        "message": replay.message,
        "pointer": replay.pointer,
        "mended": replay.mended,
        "by": replay.decided_by,
    }


def _text(body: bytes | None) -> str | None:
    try:
        return None if body is None else body.decode()
    except UnicodeDecodeError:
        return None
