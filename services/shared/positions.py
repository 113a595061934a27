"""Where a room stands in the topics it reads: rows in the same database as the state those records produced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, Text

from services.shared.bus import Bus, TopicInfo
from services.shared.db import Database
from services.shared.errors import Misplaced, PositionMoved


class Stored(NamedTuple):
    """The next offset to read of one partition, with the topic it was read from."""

    topic_id: str
    partitions: int
    next_offset: int


Bounds = Mapping[int, tuple[int, int]]
"""Per partition, the first offset that a topic can be asked for, and the one after its last record."""


def bounds_of(bus: Bus, topic: str) -> Bounds:
    """What a topic has now."""
    begins, ends = bus.begin_offsets(topic), bus.end_offsets(topic)
    return {partition: (begins[partition], ends[partition]) for partition in begins}


def position_table(metadata: MetaData) -> Table:
    """The table of positions, in a room's own metadata."""
    return Table(
        "position",
        metadata,
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("topic_id", Text, nullable=False),
        Column("partitions", Integer, nullable=False),
        Column("next_offset", BigInteger, nullable=False),
    )


class Positions:
    """Reads and moves positions inside the caller's transaction. `mend` is the command that mends those that don't fit their topic."""

    def __init__(self, database: Database, mend: str = "") -> None:
        self._database = database
        self.mend = mend

    def read(self, tx: Connection) -> dict[tuple[str, int], Stored]:
        """All positions, by (topic, partition)."""
        rows = self._database.execute(tx, "SELECT topic, partition, topic_id, partitions, next_offset FROM position")
        return {(row[0], row[1]): Stored(row[2], row[3], row[4]) for row in rows}

    def offsets(self, tx: Connection) -> dict[tuple[str, int], int]:
        """The next offset to read, of every (topic, partition)."""
        return {pair: stored.next_offset for pair, stored in self.read(tx).items()}

    def start(self, tx: Connection, topic: TopicInfo, partition: int) -> int:
        """The offset to go on from, 0 for a partition never read.

        Raises Misplaced if the topic was recreated or has another number of partitions than when positions in it were stored.
        """
        self._database.execute(
            tx,
            "INSERT INTO position (topic, partition, topic_id, partitions, next_offset) "
            "VALUES (:topic, :partition, :id, :partitions, 0) ON CONFLICT DO NOTHING",
            {"topic": topic.name, "partition": partition, "id": topic.id, "partitions": topic.partitions},
        )
        stored = self.read(tx)
        for position in (stored[pair] for pair in stored if pair[0] == topic.name and pair[1] < topic.partitions):
            if position.topic_id != topic.id:
                raise Misplaced(f"topic {topic.name} was deleted and created again")
            if position.partitions != topic.partitions:
                raise Misplaced(f"topic {topic.name} had {position.partitions} partitions and has {topic.partitions} now")
        return stored[topic.name, partition].next_offset

    def move(self, tx: Connection, moves: Mapping[tuple[str, int], tuple[int, int]]) -> None:
        """Compare-and-set {(topic, partition): (from, to)}, in one order for all writers. Raises PositionMoved if any is not at `from`."""
        for (topic, partition), (old, new) in sorted(moves.items()):
            changed = self._database.count(
                tx,
                "UPDATE position SET next_offset = :new WHERE topic = :topic AND partition = :partition AND next_offset = :old",
                {"topic": topic, "partition": partition, "old": old, "new": new},
            )
            if changed != 1:
                raise PositionMoved(f"{topic}/{partition} is no longer at {old}")
