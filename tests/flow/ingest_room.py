"""A running ingest room to post to: a real embedded bus, the whole application."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
from prometheus_client import CollectorRegistry

from schemas import tokens, topics
from schemas.rejected import RejectedRecord
from schemas.touchpoint import Accepted
from services.ingest.main import IngestRoom, build
from services.ingest.store.sources import Source
from services.shared.bus import Outgoing, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import load
from services.shared.http import Access, create_app

JSON = dict[str, Any]
NOW_US = 1_795_340_000_123_456
PARTITIONS = 4
KEY = "c" + "0" * 24
PURCHASE = {"type": "order_completed", "identities": {"customer_id": "c-42"}, "order": {"order_id": "o-1", "amount": "19.99"}}


class Ingest:
    """A running room, and what is on its bus."""

    def __init__(self, folder: Path, **given_settings: object) -> None:
        self.now_us = NOW_US
        self.bus = EmbeddedBus(folder / "bus.db")
        self.bus.create(
            TopicSpec(name, PARTITIONS) for name in (topics.TOUCHPOINTS, topics.COMMANDS, topics.REJECTED, topics.DONE)
        )
        self.registry = CollectorRegistry()
        self.room: IngestRoom = build(load(data=folder, **given_settings), self.bus, self.registry, lambda: self.now_us)
        if not given_settings:
            self.room.sources.add(Source("shop", "erp"), KEY)
        room = self.room
        self.app = create_app([room.router], room.checks, self.registry, Access(), open_paths=room.open_paths, doors=room.doors)
        self.without_doors = create_app([room.router], room.checks, self.registry, Access(), open_paths=room.open_paths)

    def get(self, path: str, after: str = "", **query: object) -> Any:
        """The answer of a question; with `after`, a receipt's token, once what it stands for is stored."""
        sent = {"host": "localhost", **({"x-waypost-after": after} if after else {})}
        answer = self.call("GET", f"{path}?{urlencode(query)}", None, sent)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tell(self, path: str, body: object) -> httpx.Response:
        """Post a decision, as an admin would."""
        return self.call("POST", path, json.dumps(body).encode(), {"host": "localhost", "content-type": "application/json"})

    def close(self) -> None:
        self.room.close()
        self.bus.close()

    def call(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], door: bool = True
    ) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app if door else self.without_doors)
            async with httpx.AsyncClient(transport=transport, base_url="http://collect.example") as client:
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(run())

    def post(self, body: object, path: str = "/v1/touchpoints", *, key: str | None = KEY, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent.setdefault("authorization", f"Bearer {key}")
        return self.call("POST", path, content, sent)

    def values(self, topic: str) -> list[tuple[bytes, bytes]]:
        found = []
        for partition, offset in self.bus.begin_offsets(topic).items():
            found += [(record.key, record.value or b"") for record in self.bus.read(topic, partition, offset)]
        return found

    def accepted(self) -> list[Accepted]:
        return [msgspec.json.decode(value, type=Accepted) for _, value in self.values(topics.TOUCHPOINTS)]

    def rejected(self) -> list[RejectedRecord]:
        return [msgspec.json.decode(value, type=RejectedRecord) for _, value in self.values(topics.REJECTED)]


def bytes_of(row: JSON) -> bytes:
    return base64.b64decode(row["body_base64"]) if row["body"] is None else str(row["body"]).encode()


def publish(ingest: Ingest, *values: bytes | None, key: bytes = b"key", topic: str = topics.REJECTED) -> str:
    """Put records into a topic as somebody else would; returns the token to wait for them."""
    with closing(ingest.bus.publisher()) as publisher:
        positions = publisher.publish([Outgoing(topic, key, value) for value in values]).result(10)
    return tokens.encode((topic, *position) for position in positions)


def told(row: JSON) -> tuple[object, ...]:
    return row["index"], bytes_of(row), row["code"], row["message"], row["pointer"]


def all_rows(ingest: Ingest, token: str = "", **query: object) -> list[JSON]:
    """All rows, page by page; no row comes twice."""
    rows: list[JSON] = []
    cursor: JSON = {}
    while True:
        page = ingest.get("/v1/rejected", token, limit=500, **query, **cursor)
        rows += page["rejected"]
        if page["next_cursor"] is None:
            assert len({row["id"] for row in rows}) == len(rows) == page["total"]
            return rows
        assert len(page["rejected"]) == 500
        cursor = {"cursor": page["next_cursor"]}
