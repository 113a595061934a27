"""Metrics as `waypost metrics` serves it, and beside it a route that asks its database for `SELECT 1` through the same layers."""

from __future__ import annotations

from contextlib import ExitStack

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry

from services.cli.parts import open_bus, open_database
from services.cli.serving import address, listen, serve
from services.metrics.main import build
from services.shared.config import load
from services.shared.db import Database
from services.shared.http import Access, create_app
from tests.parts.processes import READY

PATH = "/select-1"


def main() -> None:
    settings, registry = load(), CollectorRegistry()
    with ExitStack() as stack:
        taken = stack.enter_context(listen(settings.host, settings.port))
        bus, database = open_bus(settings), open_database(settings, "metrics")
        stack.callback(bus.close)
        stack.callback(database.close)
        room = build(settings, database, bus, registry)
        room.start()
        stack.callback(room.stop)
        routers = [room.router, select_1(database)]
        app = create_app(routers, room.checks, registry, Access.of(settings), pages=room.pages)
        serve(app, taken, lambda: print(READY, address(taken), flush=True))


def select_1(database: Database) -> APIRouter:
    """A question in a snapshot of its own, as every question of metrics."""
    routes = APIRouter()

    @routes.get(PATH)
    def ask() -> Response:
        with database.snapshot() as tx:
            ((one,),) = database.execute(tx, "SELECT 1")
        return Response(msgspec.json.encode({"one": one}), media_type="application/json")

    return routes


if __name__ == "__main__":
    main()
