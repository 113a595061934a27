"""Where months are published to, and whether everything that was published there is there still.

A topic `journeys` that was deleted and made anew is empty, and one whose oldest records were deleted lacks people: either is filled
again from what is stored, under the versions that everything has. Whoever has read it before finds nothing new in that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from schemas.topics import JOURNEYS
from services.journey.store.departing import GoneMonths
from services.journey.store.tables import UNPUBLISHED
from services.journey.store.versions import last_version
from services.shared.bus import Bus, Record, TopicInfo, partition_of
from services.shared.db import Database
from services.shared.errors import Misplaced

MEND = "waypost restore --database"
PAGE = 10_000
TAIL = 100
"""How many of a partition's last records are looked at for versions that these tables have not given out."""


class _Published(msgspec.Struct):
    version: int = 0


_decode = msgspec.json.Decoder(_Published).decode


class _Known(NamedTuple):
    """The topic as it was: its id, and the sums of its partitions' first and next offsets; nothing before the first look."""

    topic_id: str | None
    begin: int | None
    end: int | None


def _is_whole(known: _Known, topic_id: str, begin: int, end: int) -> bool:
    return (known.topic_id, known.begin) == (topic_id, begin) and known.end is not None and end >= known.end


class Destination:
    """What journey remembers of the topic `journeys`. `partitions` is how many months are spread over."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._db, self._partitions = database, partitions

    def look(self, topic: TopicInfo, begin_offsets: Mapping[int, int], end_offsets: Mapping[int, int]) -> bool:
        """Compare the topic with what it was; if it has lost anything, list every month to be published again, and say so.

        Raises Misplaced if it has lost its end – somebody has to find out what it still tells of people who are gone since –, or has too few
        partitions for months to be where they were.
        """
        if topic.partitions < self._partitions:
            raise Misplaced(
                f"topic {JOURNEYS} has {topic.partitions} partitions, and months are spread over {self._partitions} "
                f"(to go on, stop this process and run `{MEND}`)"
            )
        begin, end = sum(begin_offsets.values()), sum(end_offsets.values())
        with self._db.snapshot() as tx:
            known = self._known(tx)
        if _is_whole(known, topic.id, begin, end):
            return False
        if known.topic_id == topic.id and known.end is not None and end < known.end:
            raise Misplaced(f"topic {JOURNEYS} has lost its last records (to go on, stop this process and run `{MEND}`)")
        with self._db.transaction() as tx:
            before = self._known(tx, self._db.for_update)
            if _is_whole(before, topic.id, begin, end):
                return False
            self._db.execute(
                tx,
                "UPDATE installation SET journeys_id = :id, journeys_begin = :begin, journeys_end = :end",
                {"id": topic.id, "begin": begin, "end": end},
            )
            if before.topic_id is None:
                return False
            self._list_all(tx)
        return True

    def begin_again(self, tx: Connection) -> None:
        """List every month, whatever the topic has, which is to be looked at as if for the first time."""
        self._db.execute(tx, "UPDATE installation SET journeys_id = NULL, journeys_begin = NULL, journeys_end = NULL")
        self._list_all(tx)

    def reached(self, tx: Connection, end_offsets: Mapping[int, int]) -> None:
        """So far the topic has come, at least. Only where topic and tables are files of one machine: a Kafka loses nothing of its end."""
        end = {"end": sum(end_offsets.values())}
        self._db.execute(tx, "UPDATE installation SET journeys_end = :end WHERE journeys_end < :end", end)

    def require_older(self, bus: Bus) -> None:
        """Raises Misplaced if the topic knows later versions than these tables have given out: they went back behind what they published."""
        begins, ends = bus.begin_offsets(JOURNEYS), bus.end_offsets(JOURNEYS)
        tails = [bus.read(JOURNEYS, number, max(begins[number], end - TAIL), TAIL) for number, end in ends.items()]
        published = max((_version_of(record) for records in tails for record in records), default=0)
        with self._db.snapshot() as tx:  # asked afterwards: others may be publishing
            given = last_version(self._db, tx)
        if published > given:
            raise Misplaced(
                f"topic {JOURNEYS} knows later versions than journey's tables ({published}, {given}): they were put back behind what they "
                f"had published (to go on, stop this process and run `{MEND}`)"
            )

    def _list_all(self, tx: Connection) -> None:
        """Every month is to be published again, in the version that it has, and as gone what is waiting for its null."""
        GoneMonths(self._db).list_all(tx)
        last = (-(2**62), 0)
        while rows := self._db.execute(
            tx,
            "SELECT m.root_id, m.month, m.version, p.person_id FROM month m JOIN person p ON p.root_id = m.root_id "
            "WHERE (m.root_id, m.month) > (:root, :month) ORDER BY m.root_id, m.month LIMIT :page",
            {"root": last[0], "month": last[1], "page": PAGE},
        ):
            last = (rows[-1][0], rows[-1][1])
            listed = [
                (partition_of(month_key(person_id, month_text(month)), self._partitions), root, month, version)
                for root, month, version, person_id in rows
            ]
            self._db.insert(tx, UNPUBLISHED, ("partition", "root_id", "month", "version"), listed, "ON CONFLICT DO NOTHING")

    def _known(self, tx: Connection, lock: str = "") -> _Known:
        return _Known(*self._db.execute(tx, f"SELECT journeys_id, journeys_begin, journeys_end FROM installation {lock}")[0])


def _version_of(record: Record) -> int:
    """0 for what is no month."""
    try:
        return _decode(record.value or b"{}").version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
