"""Ingest's composition: settings, a bus and a Prometheus registry → the room."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from schemas.normal import Identities
from services.ingest import docs, rejected_api, replay_api
from services.ingest.api import Touchpoints
from services.ingest.consumer import TOPICS, Consumer
from services.ingest.desk import Desk
from services.ingest.domain.again import Rules
from services.ingest.first_key import FirstKey, first_key
from services.ingest.meters import Meters
from services.ingest.personal_data import PersonalData
from services.ingest.replay import Replays
from services.ingest.store.sources import Sources, parse_write_keys
from services.ingest.upkeep import Upkeep
from services.shared.bus import Bus, Publisher
from services.shared.clock import Clock
from services.shared.config import Settings
from services.shared.db import Database, postgres_url, sqlite_url
from services.shared.errors import Unavailable
from services.shared.http import Check
from services.shared.log import Log
from services.shared.waiting import Waiting

REFRESH_S = 2.0
"""How long a source that another process added or revoked may stay unnoticed."""


@dataclass(frozen=True)
class IngestRoom:
    """What the process serves: `router` (documentation, schemas), `doors` (the hot path), what must be well, and the first key."""

    router: APIRouter
    doors: Mapping[str, ASGIApp]
    open_paths: Sequence[str]
    checks: Sequence[Check]
    sources: Sources
    first_key: FirstKey | None
    consumer: Consumer
    upkeep: Upkeep
    _publisher: Publisher
    _refresher: Refresher
    _database: Database

    def start(self) -> None:
        """Start consuming what is rejected. Posting needs no start."""
        self.consumer.start()
        self.upkeep.start()

    def close(self) -> None:
        """Finish the batch in hand and what is queued for the bus, then release everything that `build` opened."""
        self.consumer.stop()
        self.upkeep.stop()
        self._publisher.close()
        self._refresher.close()
        self._database.close()


def open_database(settings: Settings) -> Database:
    """Ingest's own database: a file in the data folder, or a schema of the PostgreSQL."""
    if settings.embedded_database:
        settings.data.mkdir(parents=True, exist_ok=True)
        return Database(sqlite_url(settings.data / "ingest.db"), pool_size=1)
    return Database(postgres_url(settings.database), schema="ingest", pool_size=4)


def open_sources(settings: Settings, database: Database, clock: Clock) -> Sources:
    """The registry of sources; `waypost sources` uses it as well."""
    return Sources(database, clock, parse_write_keys(settings.write_keys))


def build(settings: Settings, bus: Bus, registry: CollectorRegistry, clock: Clock) -> IngestRoom:
    """The room. The topics must be there. Raises Misconfigured; a database that is away is no obstacle, but not ready."""
    identities = Identities(settings.phone_region, settings.nobody)
    personal_data = PersonalData(settings.personal_data, settings.personal_data_key, identities)
    database = open_database(settings)
    sources = open_sources(settings, database, clock)
    first = first_key(settings.data, sources) if settings.embedded_database and not settings.write_keys else None
    publisher, meters, waiting = bus.publisher(), Meters(registry), Waiting()
    log = Log("ingest", clock, settings.log)
    touchpoints = Touchpoints(sources, publisher, identities, personal_data, clock, meters)
    consumer = Consumer(bus, database, identities, personal_data, meters, waiting, clock, log)
    router = docs.router(touchpoints)
    router.include_router(rejected_api.router(Desk(database, consumer.positions, TOPICS, waiting)))
    rules = Rules(identities, sources.is_trusted, personal_data.of)
    router.include_router(replay_api.router(Replays(database, publisher, rules, meters, clock, log)))
    return IngestRoom(
        router=router,
        doors={docs.PATH: touchpoints},
        open_paths=[docs.PATH, "/schemas/*"],
        checks=[Check("bus", bus.ping), Check("ingest database", sources.ping), Check("ingest consumer", consumer.well)],
        sources=sources,
        first_key=first,
        consumer=consumer,
        upkeep=Upkeep(database, settings.rejected_days, clock, log),
        _publisher=publisher,
        _refresher=Refresher(sources, log),
        _database=database,
    )


class Refresher:
    """A thread that keeps the registry of sources fresh. One line of log when the database goes away, one when it is back."""

    def __init__(self, sources: Sources, log: Log) -> None:
        self._sources = sources
        self._log = log
        self._closing = threading.Event()
        self._is_away = False
        self._refresh()
        self._thread = threading.Thread(target=self._run, name="ingest-sources", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(REFRESH_S):
            self._refresh()

    def _refresh(self) -> None:
        try:
            self._sources.refresh()
        except Unavailable as error:
            if not self._is_away:
                self._log.warning("sources_not_refreshed", reason=str(error))
            self._is_away = True
        else:
            if self._is_away:
                self._log.info("sources_refreshed")
            self._is_away = False
