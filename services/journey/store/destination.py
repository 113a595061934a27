"""Where months are published to, and whether everything that was published there is there still.

A topic `journeys` that was deleted and made anew is empty, and one whose oldest records were deleted lacks people: either is filled
again from what is stored, under the versions that everything has. Whoever has read it before finds nothing new in that.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from services.journey.store.tables import UNPUBLISHED
from services.shared.bus import TopicInfo, partition_of
from services.shared.db import Database

PAGE = 10_000


class Destination:
    """What journey remembers of the topic `journeys`. `partitions` is how many months are spread over."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._db, self._partitions = database, partitions

    def look(self, topic: TopicInfo, begin_offsets: Mapping[int, int]) -> bool:
        """Compare the topic with what it was; if it has lost anything, list every month to be published again, and say so."""
        now = (topic.id, sum(begin_offsets.values()))
        with self._db.snapshot() as tx:
            if self._known(tx) == now:
                return False
        with self._db.transaction() as tx:
            before = self._known(tx, self._db.for_update)
            if before == now:
                return False
            self._db.execute(
                tx, "UPDATE installation SET journeys_id = :id, journeys_begin = :begin", {"id": now[0], "begin": now[1]}
            )
            if before[0] is None:
                return False
            self._list_all(tx)
        return True

    def _known(self, tx: Connection, lock: str = "") -> tuple[str | None, int | None]:
        row = self._db.execute(tx, f"SELECT journeys_id, journeys_begin FROM installation {lock}")[0]
        return row[0], row[1]

    def _list_all(self, tx: Connection) -> None:
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
