"""A running journey room to ask over HTTP: a real bus, a real database, `post` in the place of ingest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from schemas import tokens, topics
from schemas.touchpoint import Accepted
from services.journey.docs import PersonAnswer
from services.journey.main import JourneyRoom, build
from services.shared.bus import Outgoing, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import Settings, load
from services.shared.db import Database
from services.shared.http import Access, create_app
from tests.builders import DAY_US, START_US, body

PARTITIONS = 4
NOW_US = START_US + 120 * DAY_US
JSON = dict[str, Any]


class Journey:
    """A running room, its bus, and a client; `post` publishes as ingest would."""

    def __init__(self, room: JourneyRoom, bus: EmbeddedBus, app: FastAPI, registry: CollectorRegistry) -> None:
        self.room, self.bus, self.registry = room, bus, registry
        self._app, self._publisher = app, bus.publisher()
        self.token = ""

    def post(self, *touchpoints: Accepted) -> None:
        """Publish touchpoints; every later question waits until they are stitched."""
        records = [
            Outgoing(topics.TOUCHPOINTS, (next(iter(sorted(one.identities.values())), one.id)).encode(), body(one))
            for one in touchpoints
        ]
        positions = self._publisher.publish(records).result(10)
        token = tokens.encode((topics.TOUCHPOINTS, position.partition, position.offset) for position in positions)
        self.token = f"{self.token},{token}" if self.token else token

    def ask(self, path: str, query: Mapping[str, object], headers: Mapping[str, str] | None = None) -> httpx.Response:
        sent = {"x-waypost-after": self.token, **(headers or {})}
        params = {name: str(value) for name, value in query.items()}
        return self._call("GET", path, params=params or None, headers=sent)

    def tell(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Post a command."""
        sent = {"content-type": "application/json", **(headers or {})}
        return self._call("POST", path, content=json.dumps(body), headers=sent)

    def command(self, path: str, body: JSON) -> JSON:
        """Post a command that is taken; every later question waits until it is applied."""
        answer = self.tell(path, body)
        assert answer.status_code == 202, answer.text
        self.token = ",".join(filter(None, (self.token, answer.json()["token"])))
        return dict(answer.json())

    def erase(self, identity: str) -> str:
        """Erase somebody; every later question waits until that is done here. Returns the id of the erasure."""
        answer = self._call("DELETE", f"/v1/persons/{quote(identity, safe='')}", headers={"x-waypost-after": self.token})
        assert answer.status_code == 202, answer.text
        self.token = ",".join(filter(None, (self.token, answer.json()["token"])))
        return str(answer.json()["id"])

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def called() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **request)

        return asyncio.run(called())

    def get(self, path: str, **query: object) -> Any:
        answer = self.ask(path, query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def person(self, identity: str, **query: object) -> JSON:
        answer = self.get(f"/v1/persons/{quote(identity, safe='')}", **query)
        assert PersonAnswer(**answer).model_dump(by_alias=True) == answer
        return dict(answer)

    def rows(self, path: str, name: str, limit: int, **query: object) -> list[JSON]:
        """All rows of a list, page by page."""
        found: list[JSON] = []
        cursor: JSON = {}
        while True:
            page = self.get(path, limit=limit, **query, **cursor)
            assert len(page[name]) <= limit
            found += page[name]
            if page["next_cursor"] is None:
                return found
            assert len(page[name]) == limit
            cursor = {"cursor": page["next_cursor"]}

    def refused(self, path: str, **query: object) -> tuple[int, str]:
        answer = self.ask(path, query)
        assert set(answer.json()) == {"code", "message", "detail"}
        return answer.status_code, answer.json()["code"]


def settings_of(folder: Path, **more: object) -> Settings:
    return load(data=folder, partitions=PARTITIONS, shared_handle_customers=3, **more)


@contextmanager
def running(settings: Settings, database: Database) -> Iterator[Journey]:
    """The room at work, on a bus in the settings' folder."""
    with ExitStack() as stack:
        bus = stack.enter_context(closing(EmbeddedBus(settings.data / "bus.db")))
        names = (topics.TOUCHPOINTS, topics.REJECTED, topics.COMMANDS, topics.DONE, topics.JOURNEYS)
        bus.create(TopicSpec(name, PARTITIONS, compacted=name == topics.JOURNEYS) for name in names)
        registry = CollectorRegistry()
        room = build(settings, database, bus, registry, lambda: NOW_US)
        app = create_app([room.router], room.checks, registry, Access())
        room.start()
        stack.callback(room.stop)
        yield Journey(room, bus, app, registry)
