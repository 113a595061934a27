"""The table of (method, exact path) → room, and who may call what of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from services.cli.parts import open_bus, open_database
from services.ingest.main import build as build_ingest
from services.journey.main import build as build_journey
from services.metrics.main import build as build_metrics
from services.shared.clock import system_clock
from services.shared.config import load
from services.shared.http import Access, create_app
from services.shared.http.guard import READING, Paths

Call = tuple[str, str]
INGEST: set[Call] = {
    ("POST", "/v1/touchpoints"),
    ("GET", "/v1/rejected"),
    ("POST", "/v1/rejected/replay"),
    ("GET", "/schemas/{name}/{version}"),
}
OPEN = {"/v1/touchpoints", "/schemas/*"}


class Rooms:
    """All rooms as one application with tokens, none of them at work."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        settings, registry = load(data=folder, partitions=1, read_tokens="reading", admin_tokens="deciding"), CollectorRegistry()
        bus = open_bus(settings)
        stack.callback(bus.close)
        ingest = build_ingest(settings, bus, registry, system_clock)
        stack.callback(ingest.close)
        databases = [open_database(settings, name) for name in ("journey", "metrics")]
        for database in databases:
            stack.callback(database.close)
        journey = build_journey(settings, databases[0], bus, registry)
        metrics = build_metrics(settings, databases[1], bus, registry)
        routers = {"ingest": ingest.router, "journey": journey.router, "metrics": metrics.router}
        self.table: Mapping[str, list[Call]] = {name: _calls(router) for name, router in routers.items()}
        self.ingest_open, self.pages = set(ingest.open_paths), Paths(metrics.pages)
        self.app: FastAPI = create_app(
            list(routers.values()),
            [],
            registry,
            Access.of(settings),
            open_paths=ingest.open_paths,
            pages=metrics.pages,
            doors=ingest.doors,
        )

    def status(self, method: str, path: str, token: str, kind: str = "application/json") -> int:
        headers = {"content-type": kind, **({"authorization": f"Bearer {token}"} if token else {})}

        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost") as client:
                return await client.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)

        return asyncio.run(asked()).status_code


def _calls(router: APIRouter) -> list[Call]:
    """(method, path) of every route; two of the same in one room are a warning, and so an error."""
    app = FastAPI()
    app.include_router(router)
    return [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with ExitStack() as stack:
        yield Rooms(tmp_path_factory.mktemp("rooms"), stack)


def test_no_two_rooms_and_no_two_routes_claim_the_same(rooms: Rooms) -> None:
    claimed = [call for calls in rooms.table.values() for call in calls]
    assert sorted(set(claimed)) == sorted(claimed)
    assert all(rooms.table.values())


def test_what_ingest_serves_and_what_of_it_is_open(rooms: Rooms) -> None:
    assert set(rooms.table["ingest"]) == INGEST
    assert rooms.ingest_open == OPEN


def test_whatever_is_not_open_asks_for_a_token_and_decisions_for_an_admins(rooms: Rooms) -> None:
    for room, calls in rooms.table.items():
        for method, path in calls:
            if path in Paths(rooms.ingest_open) or (path in rooms.pages and method in READING):
                continue
            asked = path.replace("{identity}", "customer_id:x").replace("{", "").replace("}", "")
            assert rooms.status(method, asked, "") == 401, (room, method, path)
            assert rooms.status(method, asked, "somebody") == 401, (room, method, path)
            if method not in READING:
                assert rooms.status(method, asked, "reading") == 403, (room, method, path)


def test_a_page_on_another_site_cannot_have_anything_replayed(rooms: Rooms) -> None:
    assert rooms.status("POST", "/v1/rejected/replay", "deciding", "text/plain") == 415
    assert rooms.status("POST", "/v1/rejected/replay", "deciding") == 422
