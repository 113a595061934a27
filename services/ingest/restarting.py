"""Positions that mend themselves: whatever ingest reads again has the same effect again, which is none."""

from __future__ import annotations

from sqlalchemy import Connection

from services.shared.bus import Bus, TopicInfo
from services.shared.db import Database
from services.shared.log import Log
from services.shared.positions import Positions


class Restarting(Positions):
    """Where a position does not fit the topic (never read, recreated, re-partitioned, expired), reading starts with its first record."""

    def __init__(self, database: Database, bus: Bus, log: Log) -> None:
        super().__init__(database, "waypost ingest")
        self._bus, self._log = bus, log

    def start(self, tx: Connection, topic: TopicInfo, partition: int) -> int:
        """The offset to go on from; never raises Misplaced."""
        begin, end = self._bus.begin_offsets(topic.name)[partition], self._bus.end_offsets(topic.name)[partition]
        stored = self.read(tx).get((topic.name, partition))
        if stored is not None:
            if (stored.topic_id, stored.partitions) == (topic.id, topic.partitions) and begin <= stored.next_offset <= end:
                return stored.next_offset
            self._log.error(
                "position_restarted", topic=topic.name, partition=partition, was=stored.next_offset, begin=begin, end=end
            )
        self._database.execute(
            tx,
            "INSERT INTO position (topic, partition, topic_id, partitions, next_offset) "
            "VALUES (:topic, :partition, :id, :partitions, :begin) ON CONFLICT (topic, partition) DO UPDATE "
            "SET topic_id = excluded.topic_id, partitions = excluded.partitions, next_offset = excluded.next_offset",
            {"topic": topic.name, "partition": partition, "id": topic.id, "partitions": topic.partitions, "begin": begin},
        )
        return begin
