"""Composes the metrics room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from schemas.calendar import Calendar
from services.metrics import api, api_evidence, api_pages, dashboard
from services.metrics.asked import Retention
from services.metrics.consumer import Consumer
from services.metrics.desk import Desk
from services.metrics.domain.contact_formulas import price_of
from services.metrics.migrations import HISTORY
from services.metrics.monitoring import Monitoring
from services.metrics.store import checking, generations
from services.shared.background import Sampling
from services.shared.bus import Bus
from services.shared.checked import Checked
from services.shared.clock import Clock, system_clock
from services.shared.config import Settings
from services.shared.db import Database
from services.shared.http import Check
from services.shared.log import Log
from services.shared.migrating import migrate
from services.shared.waiting import Waiting


@dataclass(frozen=True)
class MetricsRoom:
    """The room, not yet consuming. Its topics have to be there when it starts; bus and database stay the caller's to close."""

    router: APIRouter
    checks: Sequence[Check]
    desk: Desk
    consumer: Consumer
    database: Database
    time_zone: str
    opening_hours: str
    sampling: Sampling
    pages: Sequence[str] = dashboard.PAGES

    def start(self) -> None:
        """Start consuming. Raises Misconfigured if the rollups were made by other code or settings, naming the command that mends it."""
        with self.database.transaction() as tx:
            generations.open_generation(self.database, tx, generations.generation_hash(self.time_zone, self.opening_hours))
        self.consumer.start()
        self.sampling.start()

    def stop(self) -> None:
        """Finish the batch in hand and stop."""
        self.sampling.stop()
        self.consumer.stop()


def check(settings: Settings, database: Database) -> Checked:
    """Recompute all rollups from the stored facts, and compare."""
    migrate(database, HISTORY)
    with database.snapshot() as tx:
        return checking.check(database, tx, Calendar(settings.time_zone, settings.opening_hours))


def build(
    settings: Settings, database: Database, bus: Bus, registry: CollectorRegistry, clock: Clock = system_clock
) -> MetricsRoom:
    """The room on this database (its tables are made if they are missing) and this bus."""
    migrate(database, HISTORY)
    calendar, waiting, monitoring = Calendar(settings.time_zone, settings.opening_hours), Waiting(), Monitoring(registry)
    log = Log("metrics", clock, settings.log)
    consumer = Consumer(bus, database, calendar, monitoring, waiting, clock, log)
    desk = Desk(bus, database, calendar, waiting, monitoring, clock, price_of(settings.cost_per_handled_minute))
    checks = [Check("metrics database", database.ping), Check("metrics bus", bus.ping), Check("metrics consumer", consumer.well)]
    retention = Retention(settings.active_by, settings.active_days)
    router = api.router(desk, retention)
    router.include_router(api_evidence.router(desk, retention))
    router.include_router(api_pages.router())
    router.include_router(dashboard.router())
    sampling = Sampling(desk.sample, monitoring.check.sampled, settings.check_every_s, log)
    return MetricsRoom(router, checks, desk, consumer, database, settings.time_zone, settings.opening_hours, sampling)
