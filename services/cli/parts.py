"""What rooms are composed from, by the settings: the bus with its topics, and a database for each room."""

from __future__ import annotations

from schemas import topics
from services.shared.bus import Bus, TopicSpec
from services.shared.config import Settings
from services.shared.db import Database, postgres_url, sqlite_url
from services.shared.errors import Misconfigured

KAFKA_SCHEME = "kafka://"
_DAY_S = 86_400


def open_bus(settings: Settings) -> Bus:
    """The bus, with every topic made. Raises Misconfigured for an address that is none, Unavailable if it is away."""
    bus = _embedded(settings) if settings.embedded_bus else _kafka(settings)
    try:
        bus.create(topic_specs(settings))
    except BaseException:
        bus.close()
        raise
    return bus


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """All topics have equally many partitions; `journeys` is compacted. Commands name people, and journey keeps what counts of them, so the
    bus forgets them like touchpoints."""
    partitions, retention_s = settings.partitions, settings.retention_days * _DAY_S
    return [
        TopicSpec(topics.TOUCHPOINTS, partitions, retention_s=retention_s),
        TopicSpec(topics.REJECTED, partitions, retention_s=retention_s),
        TopicSpec(topics.COMMANDS, partitions, retention_s=retention_s),
        TopicSpec(topics.DONE, partitions, retention_s=retention_s),
        TopicSpec(topics.JOURNEYS, partitions, compacted=True),
    ]


def open_database(settings: Settings, room: str) -> Database:
    """The database of a room: a file in the data folder, or a schema of the PostgreSQL."""
    if settings.embedded_database:
        settings.data.mkdir(parents=True, exist_ok=True)
        return Database(sqlite_url(settings.data / f"{room}.db"))
    if not settings.database.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise Misconfigured("WAYPOST_DATABASE is `embedded` or a PostgreSQL such as postgresql://user:password@host/name")
    return Database(postgres_url(settings.database), schema=room)


def _embedded(settings: Settings) -> Bus:
    from services.shared.bus.embedded import EmbeddedBus

    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"the data folder {settings.data} cannot be made: {error.strerror}") from None
    return EmbeddedBus(settings.data / "bus.db")


def _kafka(settings: Settings) -> Bus:
    from services.shared.bus.kafka import KafkaBus

    if not settings.bus.startswith(KAFKA_SCHEME):
        raise Misconfigured(f"WAYPOST_BUS is `embedded` or a Kafka such as {KAFKA_SCHEME}host:9092, not {settings.bus!r}")
    bootstrap = settings.bus.removeprefix(KAFKA_SCHEME)
    return KafkaBus(bootstrap, security=settings.kafka_security, replication=settings.replication)
