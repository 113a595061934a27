"""POST /v1/touchpoints, and the published schemas.

`Touchpoints` is the way of a request: authenticate → read → split → accept → publish → receipt. It is served as a door
(see `services.shared.http.app`): thousands of requests a second don't need a framework's layers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from schemas import ids, tokens, topics
from schemas.normal import Identities
from services.ingest.cors import RawHeaders, check_origin, preflight, readable_by
from services.ingest.domain.accept import Arrival, Batch, Result, accept
from services.ingest.domain.decode import keys_of
from services.ingest.domain.ids import keyed
from services.ingest.domain.split import split
from services.ingest.meters import Meters
from services.ingest.outbox import Outbox
from services.ingest.personal_data import PersonalData
from services.ingest.request import Disconnected, Headers, idempotency_key, is_lines, is_set, read_body, read_query, sent_keys
from services.ingest.store.sources import Source
from services.shared.bus import Outgoing, Position, Publisher
from services.shared.clock import Clock
from services.shared.errors import Rejected, Unavailable, WaypostError
from services.shared.http import Problem
from services.shared.http.problems import as_problem

_JSON: RawHeaders = [(b"content-type", b"application/json")]
_STATUS_OF = {"body_too_large": 413, "too_many_touchpoints": 413}
_RESULTS = msgspec.json.Encoder()


class Registry(Protocol):
    """Knows the sources by their write keys."""

    def find(self, key: str) -> Source | None:
        """The source of a write key, at once; None if it is unknown or revoked, as far as was read by now."""
        ...

    def check_read(self) -> None:
        """Raises Unavailable as long as the sources could never be read, so that nobody can be called unknown."""
        ...


class Receipt(msgspec.Struct):
    """The answer to a request: counts, one result per item in order, and the token to wait for it with."""

    accepted: int
    rejected: int
    results: list[Result]
    token: str


class Answer(NamedTuple):
    status: int
    headers: RawHeaders
    body: bytes


class Touchpoints:
    """ASGI application of one path. Stateless but for the outbox of the loop that it runs on."""

    def __init__(
        self,
        registry: Registry,
        publisher: Publisher,
        identities: Identities,
        personal_data: PersonalData,
        clock: Clock,
        meters: Meters,
    ) -> None:
        self._registry = registry
        self._personal_data = personal_data
        self._publisher = publisher
        self._identities = identities
        self._clock = clock
        self._meters = meters
        self._outbox: Outbox | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self.answer(scope, receive)
        except Disconnected:
            return
        headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """The answer to one request, every error included. Raises Disconnected."""
        headers: Headers = dict(scope["headers"])
        readable = readable_by(headers.get(b"origin"))
        try:
            match scope["method"]:
                case "POST":
                    answer = await self._post(scope, headers, receive)
                case "OPTIONS":
                    return self._preflight(scope, headers)
                case _:
                    raise Problem(405, "method_not_allowed", "POST touchpoints here", headers={"Allow": "OPTIONS, POST"})
        except (Problem, WaypostError) as error:
            answer = self._refusal(error)
        return Answer(answer.status, answer.headers + readable, answer.body) if readable else answer

    async def _post(self, scope: Scope, headers: Headers, receive: Receive) -> Answer:
        began = time.perf_counter()
        query = read_query(scope["query_string"])
        body = await read_body(receive, headers)
        items = split(body, is_lines(headers))
        source = self._authenticate(headers, query, items)
        check_origin(source, headers.get(b"origin"))
        batch = accept(items, self._arrival(source, headers), self._identities)
        if is_set(query, "dry_run") if query else False:
            batch.settle()
            return _receipt(batch, "")
        return await self._publish(source, batch, began)

    def _authenticate(self, headers: Headers, query: dict[str, str], items: Sequence[bytes]) -> Source:
        """The source of the first known key. Raises Problem 401, Unavailable while it cannot be told who is known."""
        for key in sent_keys(headers, query):
            if (source := self._registry.find(key)) is not None:
                return source
        for key in keys_of(items[0]):
            if (source := self._registry.find(key)) is not None:
                return source
        self._registry.check_read()
        message = "send the write key of a source, such as Authorization: Bearer KEY; `waypost sources list` shows the sources"
        raise Problem(401, "unknown_write_key", message, headers={"WWW-Authenticate": "Bearer"})

    def _arrival(self, source: Source, headers: Headers) -> Arrival:
        received_us = self._clock()
        key = idempotency_key(headers)
        new_id = ids.timed(received_us, os.urandom) if key is None else keyed(source.name, key)
        return Arrival(source.name, source.system, received_us, new_id, source.is_trusted, self._personal_data.of(source.name))

    async def _publish(self, source: Source, batch: Batch, began: float) -> Answer:
        """Success only once the bus holds every record; otherwise everything is to come again."""
        records = [Outgoing(topics.TOUCHPOINTS, key, value) for key, value in batch.touchpoints]
        records += [Outgoing(topics.COMMANDS, key, value) for key, value in batch.commands]
        records += [Outgoing(topics.REJECTED, key, value) for key, value in batch.rejected]
        try:
            positions = await self._sent(records)
        except WaypostError as error:
            self._meters.batch(source.name, batch)
            return _come_again(batch, error)
        batch.settle()
        self._meters.batch(source.name, batch)
        self._meters.published(time.perf_counter() - began)
        touched = ((record.topic, *position) for record, position in zip(records, positions, strict=True))
        return _receipt(batch, tokens.encode(touched))

    def _sent(self, records: Sequence[Outgoing]) -> asyncio.Future[list[Position]]:
        loop = asyncio.get_running_loop()
        if self._outbox is None or self._outbox.loop is not loop:
            self._outbox = Outbox(self._publisher, loop)
        return self._outbox.send(records)

    def _preflight(self, scope: Scope, headers: Headers) -> Answer:
        query = read_query(scope["query_string"])
        known = (self._registry.find(key) for key in sent_keys({}, query))
        return Answer(204, preflight(headers, filter(None, known)), b"")

    def _refusal(self, error: Problem | WaypostError) -> Answer:
        """A request that is refused as a whole, in the one shape of errors."""
        problem = as_problem(error)
        if isinstance(error, Rejected):
            problem.status = _STATUS_OF.get(error.code, 400)
        self._meters.refused(problem.code)
        body = _RESULTS.encode({"code": problem.code, "message": problem.message, "detail": problem.detail})
        extra = [(name.lower().encode(), value.encode()) for name, value in (problem.headers or {}).items()]
        return Answer(problem.status, _JSON + extra, body)


def _receipt(batch: Batch, token: str) -> Answer:
    """202, or 422 when nothing of it was good. The results are final."""
    rejected = len(batch.rejected)
    accepted = batch.outcomes.count("accepted")
    body = _RESULTS.encode(Receipt(accepted, rejected, batch.results, token))
    return Answer(422 if rejected == len(batch.results) else 202, _JSON, body)


def _come_again(batch: Batch, error: WaypostError) -> Answer:
    """503 with every result as it stands: "retry"."""
    retry_after_s = error.retry_after_s if isinstance(error, Unavailable) else 1
    for result in batch.results:
        if result.code is None:
            result.code, result.message = (
                "unavailable",
                f"nothing of this is stored for certain; send it again in {retry_after_s} s",
            )
    body = _RESULTS.encode(Receipt(0, 0, batch.results, ""))
    return Answer(503, [*_JSON, (b"retry-after", b"%d" % retry_after_s)], body)
