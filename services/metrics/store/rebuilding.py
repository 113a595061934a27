"""Fills a next generation from the stored facts and makes it the live one, in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from schemas.calendar import Calendar
from services.metrics.domain.measures import contributions
from services.metrics.domain.rollups import Sums
from services.metrics.migrations import HISTORY
from services.metrics.store import generations, paging
from services.metrics.store.summing import Summing
from services.shared.bus import TopicInfo
from services.shared.db import Database
from services.shared.migrating import migrate
from services.shared.positions import Positions

_OF_THE_TOPIC = ("position", "watermark", "effect", "fact", "person_month")


def rebuild(database: Database, topic: TopicInfo, time_zone: str, on_progress: Callable[[int], None]) -> int:
    """Recompute the rollups by this code and these settings; returns the number of facts.

    Questions go on being answered from the live generation meanwhile; consumers wait. Facts that came from a topic that was
    recreated or has another number of partitions are forgotten: the consumers read the topic again from its start.
    """
    migrate(database, HISTORY)
    calendar, summing, done = Calendar(time_zone), Summing(database), 0
    with database.transaction() as tx:
        number = _next_number(database, tx)
        if not _fits(database, tx, topic):
            for table in _OF_THE_TOPIC:
                database.execute(tx, f"DELETE FROM {table}")
        for page in paging.facts(database, tx):
            by_partition: dict[int, Sums] = {}
            for partition, identified, fact in page:
                by_partition.setdefault(partition, Sums(calendar)).add(contributions(fact, identified, calendar))
            for partition, sums in by_partition.items():
                summing.add(tx, number, partition, sums)
            done += len(page)
            on_progress(done)
        _switch(database, tx, number, generations.generation_hash(time_zone))
    return done


def _next_number(database: Database, tx: Connection) -> int:
    """One more than there ever was. Locks the live generation: its writers wait, and then find that it is no longer theirs."""
    database.execute(tx, "UPDATE generation SET live = live")
    return 1 + max((row[0] for row in database.execute(tx, "SELECT number FROM generation")), default=0)


def _fits(database: Database, tx: Connection, topic: TopicInfo) -> bool:
    stored = Positions(database, generations.MEND).read(tx)
    return all((position.topic_id, position.partitions) == (topic.id, topic.partitions) for position in stored.values())


def _switch(database: Database, tx: Connection, number: int, made_by: str) -> None:
    for table in ("rollup", "histogram"):
        database.execute(tx, f"DELETE FROM {table} WHERE generation <> :number", {"number": number})
    database.execute(tx, "DELETE FROM generation")
    database.execute(
        tx,
        "INSERT INTO generation (number, hash, live) VALUES (:number, :hash, :yes)",
        {"number": number, "hash": made_by, "yes": True},
    )
