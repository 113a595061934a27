"""Whether the next generation, while it is filled, holds what the facts say up to where it has come.

Of each fact up to `filling.after_…` it has counted some version that the fact had, and what became of that since is noted in `fact_change`.
So its sums, with what is noted up to there, are those of the facts up to there. Facts between there and `until_…` are not counted
yet; what is noted of those leads to the fact as it is now, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from sqlalchemy import Connection

from schemas.calendar import Calendar
from services.metrics.domain.measures import contributions
from services.metrics.domain.rollups import Sums
from services.metrics.store import changes, filling, generations, paging
from services.metrics.store.changes import Change
from services.metrics.store.checking_sums import compare_sums
from services.metrics.store.facts import fact_of
from services.metrics.store.filling import BEGINNING, END, FactKey, Filling
from services.metrics.store.tables import FACT_KEY
from services.shared.checked import Checked
from services.shared.db import Database

_KEY = ", ".join(FACT_KEY)
_SAME = " AND ".join(f"c.{name} = f.{name}" for name in FACT_KEY)
_LEADING_ELSEWHERE = f"""
SELECT {_KEY} FROM (
    SELECT {_KEY}, sum(sign) AS times FROM (
        SELECT {_KEY}, sign, identified, body FROM fact_change
        UNION ALL
        SELECT {", ".join(f"f.{name}" for name in FACT_KEY)}, -1, m.identified, f.body FROM fact f JOIN person_month m
            ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month
        WHERE EXISTS (SELECT 1 FROM fact_change c WHERE {_SAME})
    ) AS steps GROUP BY {_KEY}, identified, body HAVING sum(sign) <> 0
) AS ends GROUP BY {_KEY} HAVING count(*) > 1 OR min(times) <> -1 OR max(times) <> -1
ORDER BY {_KEY}
"""
"""Facts of which what came and left does not add up to the present one, less at most one that there was before anything was noted."""


def filling_steps(database: Database, tx: Connection, calendar: Calendar, result: Checked) -> Iterator[Checked]:
    """Compare in the caller's snapshot, telling how far it is from time to time; nothing to do where nothing is filled.

    The sums of a generation with other settings than the caller's are passed over: nobody but who fills it knows what they should be.
    """
    now = filling.current(database, tx)
    if now is None:
        result.compare("", "changes of facts noted though nothing is filled", changes.count(database, tx), 0)
        return
    _places(database, tx, now, result)
    for row in database.execute(tx, _LEADING_ELSEWHERE):
        result.compare(row[1], f"changes of fact {row[3]} of {row[2]}", "lead to another fact", "lead to the stored one")
    yield result
    if generations.hash_of(database, tx, now.generation) == generations.generation_hash(
        calendar.time_zone, calendar.opening_hours
    ):
        yield from compare_sums(database, tx, now.generation, partial(_recomputed, database, tx, calendar, now), result)


def _places(database: Database, tx: Connection, now: Filling, result: Checked) -> None:
    """Each end is a fact that is there, or was when it was noted; so many facts up to the first were counted."""
    for name, place, edge in (("after", now.after, BEGINNING), ("until", now.until, END)):
        known = place in (edge, END) or _is_known(database, tx, place)
        result.compare("", f"fact that the next generation is filled {name}", "known" if known else "unknown", "known")
    result.compare("", "facts that the next generation has counted", now.facts, filling.counted(database, tx, now))


def _is_known(database: Database, tx: Connection, place: FactKey) -> bool:
    same = " AND ".join(f"{name} = :{name}" for name in FACT_KEY)
    sql = f"SELECT 1 FROM fact WHERE {same} UNION ALL SELECT 1 FROM fact_change WHERE {same} LIMIT 1"
    return bool(database.execute(tx, sql, place._asdict()))


def _recomputed(
    database: Database, tx: Connection, calendar: Calendar, now: Filling, result: Checked
) -> Iterator[dict[int, Sums]]:
    """What the facts up to `after` contribute, less what was noted of them; page by page and by partition."""
    for page in paging.fact_rows(database, tx, now.after):
        yield _summed([Change._make((*row[:4], 1, bool(row[8]), row[7])) for row in page], calendar, result)
    for noted in filling.noted(database, tx, now):
        yield _summed([one._replace(sign=-one.sign) for one in noted], calendar, result)


def _summed(counted: Iterable[Change], calendar: Calendar, result: Checked) -> dict[int, Sums]:
    by_partition: dict[int, Sums] = {}
    for partition, person_id, month, key, sign, identified, body in counted:
        with result.reading(person_id, f"fact {key} of {month}, for the next generation"):
            sums = by_partition.setdefault(partition, Sums(calendar))
            sums.add(contributions(fact_of(body), identified, calendar), sign)
    return by_partition
