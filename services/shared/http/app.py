"""The HTTP application of one process: the routers of its rooms, on one port, in one OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from services.shared.http import health, problems
from services.shared.http.guard import Access, Guard
from services.shared.http.health import Check

PAGES = ("/", "/docs", "/docs/*", "/openapi.json")
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Application(FastAPI):
    """FastAPI with doors: exact paths whose ASGI application is called before any of the framework's layers.

    A door answers every method and every error of its path itself. It is for a path that is called thousands of times a
    second; its documentation comes from a route of the same path in a router.
    """

    def __init__(self, title: str, version: str, lifespan: Lifespan | None) -> None:
        super().__init__(title=title, version=version, lifespan=lifespan, redirect_slashes=False, redoc_url=None)
        self.doors: dict[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            door = self.doors.get(scope["path"])
            if door is not None:
                await door(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def create_app(
    routers: Sequence[APIRouter],
    checks: Sequence[Check],
    registry: CollectorRegistry,
    access: Access,
    *,
    title: str = "Waypost",
    version: str = "0.1.0",
    open_paths: Iterable[str] = (),
    pages: Iterable[str] = (),
    doors: Mapping[str, ASGIApp] | None = None,
    lifespan: Lifespan | None = None,
) -> Application:
    """Compose rooms: their routers, what they need to be ready, and the paths that they leave open (see `guard`).

    `doors` are paths served before the framework (see `Application`). Slash redirects are off.
    """
    app = Application(title, version, lifespan)
    app.doors.update((path, problems.Unforeseen(door)) for path, door in (doors or {}).items())
    for router in routers:
        app.include_router(router)
    app.include_router(health.health_router(checks, registry))
    problems.install(app)
    app.add_middleware(Guard, access=access, open_paths=[*open_paths, *health.PATHS], pages=[*pages, *PAGES])
    app.add_middleware(problems.Unforeseen)
    return app
