"""Composes the journey room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from schemas import channels, vocabulary
from schemas.calendar import Calendar
from schemas.commands import Action
from schemas.times import DAY_US
from schemas.topics import JOURNEYS, TOUCHPOINTS
from services.journey import api, api_commands, api_erasures, restoring
from services.journey.commands import Commands
from services.journey.consumer import Consumer, derivation
from services.journey.desk import Desk
from services.journey.domain.fold import FoldRules
from services.journey.domain.marketing import marketing_channel
from services.journey.monitoring import Monitoring
from services.journey.rebuilding import Rebuilding
from services.journey.relay import Relay
from services.journey.restoring import Restored
from services.journey.store import spread
from services.journey.store.checking import Checking
from services.journey.store.clocks import Clocks
from services.journey.store.commanding import Carry, Commanding
from services.journey.store.commands import StoredCommands
from services.journey.store.destination import Destination
from services.journey.store.erasing import Erasing
from services.journey.store.folding import Folding
from services.journey.store.generation import Generation, fingerprint
from services.journey.store.identities import Identities
from services.journey.store.linking import Linking
from services.journey.store.people import People
from services.journey.store.refolding import Derive
from services.journey.store.releases import Releases
from services.journey.store.releasing import Releasing
from services.journey.store.timing import Timing
from services.journey.store.touchpoints import Touchpoints
from services.journey.store.weights import Weights
from services.journey.store.write import Writer, prepare
from services.shared.background import Sampling
from services.shared.bus import Bus
from services.shared.checked import Checked
from services.shared.clock import Clock, system_clock
from services.shared.config import Settings
from services.shared.db import Database
from services.shared.http import Check
from services.shared.log import Log
from services.shared.waiting import Waiting

EMBEDDED_RECHECK_S, SHARED_RECHECK_S = 1.0, 0.05
"""How often the relay looks for work that another process committed."""


@dataclass(frozen=True)
class JourneyRoom:
    """The room, not yet consuming. Its topics have to be there when it starts; bus and database stay the caller's to close."""

    router: APIRouter
    checks: Sequence[Check]
    consumer: Consumer
    relay: Relay
    commands: Commands
    sampling: Sampling

    def start(self) -> None:
        self.consumer.start()
        self.relay.start()
        self.sampling.start()

    def stop(self) -> None:
        """Finish the batch in hand, publish what is committed, and stop."""
        self.sampling.stop()
        self.consumer.stop()
        self.relay.stop()
        self.commands.close()


def build(
    settings: Settings, database: Database, bus: Bus, registry: CollectorRegistry, clock: Clock = system_clock
) -> JourneyRoom:
    """The room on this database (its tables are made if they are missing) and this bus."""
    namespace = prepare(database)
    settings = spread_over(settings, database, bus)
    rules, read = deriving(settings)
    monitoring, waiting, log = Monitoring(registry), Waiting(), Log("journey", clock, settings.log)
    consumer = consumer_of(settings, database, namespace, Around(bus, rules, read, monitoring, waiting.notify, clock, log))
    generation = Generation(database, made_by(settings))
    generation.adopt()
    recheck_s = EMBEDDED_RECHECK_S if settings.embedded_database else SHARED_RECHECK_S
    destination = Destination(database, settings.partitions)
    relay = Relay(bus, database, consumer.assignment, consumer.positions, waiting, destination, monitoring, log, recheck_s)
    desk = Desk(settings, database, rules, read, consumer.positions, waiting, monitoring, clock, bus)
    commands = Commands(bus.publisher(), clock, log)
    router = api.router(desk)
    router.include_router(api_commands.router(desk, commands))
    router.include_router(api_erasures.router(desk, commands, settings))
    checks = [
        Check("journey database", database.ping),
        Check("journey bus", bus.ping),
        Check("journey settings", generation.check),
        Check("journey consumer", consumer.well),
        Check("journey relay", relay.well),
    ]
    sampling = Sampling(desk.sample, monitoring.check.sampled, settings.check_every_s, log)
    return JourneyRoom(router, checks, consumer, relay, commands, sampling)


def spread_over(settings: Settings, database: Database, bus: Bus) -> Settings:
    """The same for a bus whose topics are made already: months are spread over the partitions that there are, not over those wanted for
    new topics. In others no relay would ever publish them. Where topics were given more since, months stay where they are."""
    there = min(bus.describe(name).partitions for name in (TOUCHPOINTS, JOURNEYS))
    return settings.model_copy(update={"partitions": spread.adopted(database, there)})


@dataclass(frozen=True)
class Around:
    """What a consumer works with beside its database."""

    bus: Bus
    rules: FoldRules
    read: Derive
    monitoring: Monitoring
    on_commit: Callable[[], None]
    clock: Clock
    log: Log


def consumer_of(settings: Settings, database: Database, namespace: UUID, around: Around) -> Consumer:
    """What takes records into this database, which is prepared."""
    writer = writer_of(settings, database, namespace, around.rules, around.read)
    generation, commanding = Generation(database, made_by(settings)), commanding_of(database, writer, around.clock)
    given = (around.monitoring, around.on_commit, around.clock, around.log)
    return Consumer(around.bus, database, generation, commanding, writer, around.read, *given)


def made_by(settings: Settings) -> str:
    """The fingerprint of all settings that decide what is derived from touchpoints and commands."""
    files = (vocabulary.BUILT_IN, settings.vocabulary, channels.BUILT_IN, settings.channels)
    limits = (
        settings.journey_timeout_days,
        settings.attribution_lookback_days,
        settings.shared_handle_customers,
        settings.bot_touchpoints,
    )
    return fingerprint([settings.time_zone, *limits, *(file.read_text("utf-8") if file else None for file in files)])


def writer_of(settings: Settings, database: Database, namespace: UUID, rules: FoldRules, read: Derive) -> Writer:
    """What takes batches into this database."""
    identities, touchpoints, people = Identities(database), Touchpoints(database), People(database, settings.partitions)
    limit = settings.shared_handle_customers
    folding = Folding(people, touchpoints, Releases(database, limit), rules, read, settings.bot_touchpoints)
    timing, commands, weights = Timing(Clocks(database), read), StoredCommands(database), Weights(database, people)
    return Writer(namespace, limit, identities, commands, touchpoints, timing, people, folding, weights)


def commanding_of(database: Database, writer: Writer, clock: Clock = system_clock) -> Commanding:
    """What takes commands into this database."""
    commands = StoredCommands(database)
    linking, releasing = Linking(Identities(database), commands, writer), Releasing(Releases(database, writer.limit), writer)
    erasing = Erasing(database, Identities(database), Touchpoints(database), writer, linking, clock)
    carriers: dict[Action, Carry] = {"link": linking.carry, "unlink": linking.carry, "release": releasing.carry}
    return Commanding(commands, carriers, erasing.carry)


def rebuild(
    settings: Settings,
    database: Database,
    bus: Bus,
    on_progress: Callable[[int, int | None, str], None],
    clock: Clock = system_clock,
) -> int:
    """Derive, own and fold everything stored anew by these settings, beside running processes (see `rebuilding`).

    `on_progress` is told (done, of how many, of what). Returns how many months are published again.
    """

    prepare(database)
    settings = spread_over(settings, database, bus)

    def consumer_on(beside: Database) -> Consumer:
        log = Log("journey", clock, settings.log)
        around = Around(bus, *deriving(settings), Monitoring(CollectorRegistry()), lambda: None, clock, log)
        return consumer_of(settings, beside, prepare(beside), around)

    done, rebuilding = 0, Rebuilding(database, bus, consumer_on, made_by(settings), settings.partitions, clock)
    for doing, done, total in rebuilding.steps():
        on_progress(done, total, doing)
    return done


def begin_epoch(database: Database, bus: Bus, on_progress: Callable[[int], None]) -> Restored:
    """What a restored database needs before anybody uses it (see `restoring`)."""
    prepare(database)
    return restoring.begin_epoch(database, bus, on_progress)


def check(settings: Settings, database: Database) -> Checked:
    """Recompute everybody from the stored touchpoints, and compare."""
    rules, read = deriving(settings)
    with database.snapshot() as tx:
        return Checking(settings, database, tx, rules, read).check(None)


def deriving(settings: Settings) -> tuple[FoldRules, Derive]:
    """How touchpoints are read and folded, by the settings."""
    return fold_rules(settings), derivation(vocabulary.load(settings.vocabulary))


def fold_rules(settings: Settings) -> FoldRules:
    """What the fold depends on beside the touchpoints, by the settings."""
    classify = partial(marketing_channel, rules=channels.load(settings.channels))
    timeout_us, lookback_us = settings.journey_timeout_days * DAY_US, settings.attribution_lookback_days * DAY_US
    return FoldRules(classify, timeout_us, lookback_us, Calendar(settings.time_zone))
