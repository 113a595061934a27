"""Whether what metrics keeps agrees with itself and with the topic: rollups with the stored facts, those with the records they came in."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from schemas.calendar import Calendar
from services.metrics.domain.measures import contributions
from services.metrics.domain.rollups import Sums
from services.metrics.store import generations
from services.metrics.store.checking_facts import read_facts, row_checks
from services.metrics.store.checking_filling import filling_steps
from services.metrics.store.checking_sums import compare_sums
from services.metrics.store.checking_topic import topic_steps
from services.shared.bus import Bus
from services.shared.checked import Checked, finished
from services.shared.db import Database


def check(database: Database, tx: Connection, calendar: Calendar) -> Checked:
    """Compare the live rollups with the stored facts, in the caller's snapshot."""
    return finished(steps(database, tx, calendar, None))


def steps(database: Database, tx: Connection, calendar: Calendar, bus: Bus | None) -> Iterator[Checked]:
    """The same, telling how far it is from time to time; then the facts with the topic `journeys`, where a bus is given."""
    result = Checked()
    live = generations.live(database, tx)
    yield result
    if live is None:
        listed = database.execute(tx, "SELECT count(*) FROM generation")[0][0]
        result.compare("", "live generations", 0, 1 if listed else 0)
        return

    def recomputed(result: Checked) -> Iterator[dict[int, Sums]]:
        return _recomputed(database, tx, calendar, result)

    yield from compare_sums(database, tx, live.number, recomputed, result)
    for _ in row_checks(database, tx, result):
        yield result
    yield from filling_steps(database, tx, calendar, result)
    if bus is not None:
        yield from topic_steps(database, tx, bus, result)


def _recomputed(database: Database, tx: Connection, calendar: Calendar, result: Checked) -> Iterator[dict[int, Sums]]:
    """What the facts contribute, page by page and by partition."""
    for page in read_facts(database, tx, result):
        by_partition: dict[int, Sums] = {}
        for partition, identified, fact in page:
            by_partition.setdefault(partition, Sums(calendar)).add(contributions(fact, identified, calendar))
        yield by_partition
