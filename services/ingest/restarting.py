"""Positions that mend themselves: whatever ingest reads again has the same effect again, which is none."""

from __future__ import annotations

from sqlalchemy import Connection

from services.shared.bus import Bus, TopicInfo
from services.shared.db import Database
from services.shared.errors import Misplaced
from services.shared.log import Log
from services.shared.positions import Positions


class Restarting(Positions):
    """Where a position does not fit the topic (never read, recreated, re-partitioned, expired), reading starts with its first record."""

    def __init__(self, database: Database, bus: Bus, log: Log) -> None:
        super().__init__(database, "waypost ingest")
        self._bus, self._log = bus, log

    def start(self, tx: Connection, topic: TopicInfo, partition: int) -> int:
        """See `Positions.start`; never raises Misplaced."""
        begin, end = self._bus.begin_offsets(topic.name)[partition], self._bus.end_offsets(topic.name)[partition]
        try:
            offset = super().start(tx, topic, partition)
            if begin <= offset <= end:
                return offset
            why = f"the topic holds offsets {begin} to {end}, {offset} was next"
        except Misplaced as error:
            offset, why = -1, str(error)
        if offset != 0:  # a partition that was never read lost nothing that could have been read
            self._log.error("position_restarted", topic=topic.name, partition=partition, reason=why)
        self._database.execute(
            tx,
            "UPDATE position SET topic_id = :id, partitions = :partitions, next_offset = :next "
            "WHERE topic = :topic AND partition = :partition",
            {"id": topic.id, "partitions": topic.partitions, "next": begin, "topic": topic.name, "partition": partition},
        )
        return begin
