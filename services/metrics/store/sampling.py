"""A small sample of the check: all rows of one cube, on one day and in one partition, are recounted from the facts that take effect
then, and a stretch of the topic is compared with what is stored of it. Its cost does not grow with what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from sqlalchemy import Connection

from schemas.calendar import Calendar
from schemas.facts import WATERMARK_KEY
from schemas.topics import JOURNEYS
from services.metrics.domain.cubes import CUBES, WIDTH, Cube
from services.metrics.domain.measures import contributions
from services.metrics.domain.rollups import Sums
from services.metrics.store import generations
from services.metrics.store.checking_topic import compare_months
from services.metrics.store.facts import fact_of
from services.metrics.store.tables import VALUES
from services.shared.bus import Bus
from services.shared.checked import Checked
from services.shared.db import Database, Keys
from services.shared.newest import Newest
from services.shared.positions import Positions

MOST_FACTS = 2000
"""A day with more in one partition is passed over."""
STRETCH = 50
"""Records of the topic."""
_FACT = "f.partition, f.person_id, f.month, f.key, f.body, m.identified"
_MONTH = "JOIN person_month m ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month"
_LAST = (
    f"SELECT {_FACT} FROM {{k}} CROSS JOIN fact f {_MONTH} "
    "WHERE f.kind = k.kind AND f.until_us >= :start AND f.until_us < :end AND f.partition = :partition LIMIT :most"
)
_EARLIER = (
    f"SELECT {_FACT} FROM {{k}} CROSS JOIN effect e JOIN fact f ON f.partition = e.partition AND f.person_id = e.person_id "
    f"AND f.month = e.month AND f.key = e.key {_MONTH} "
    "WHERE e.kind = k.kind AND e.at_us >= :start AND e.at_us < :end AND e.partition = :partition LIMIT :most"
)
Rows = dict[tuple[str, int, str], tuple[int, ...]]
"""{(cube and set, cohort, dims): values} of one day."""


def sample(database: Database, tx: Connection, calendar: Calendar, bus: Bus, draw: Random) -> Checked:
    """Look at what `draw` picks, in the caller's snapshot."""
    result = Checked()
    live = generations.live(database, tx)
    if live is None or live.hash != generations.generation_hash(calendar.time_zone, calendar.opening_hours):
        return result
    cube = draw.choice(
        [cube for cube in CUBES if not cube.foreseen]
    )  # whose facts are found by the day on which they take effect
    picked = _pick(database, tx, live.number, cube, draw)
    if picked is not None:
        _day(database, tx, calendar, live.number, cube, picked, result)
    _stretch(database, tx, bus, draw, result)
    return result


def _grain(cube: Cube) -> str:
    return "d" if cube.cohort is None else "dd"


def _pick(database: Database, tx: Connection, generation: int, cube: Cube, draw: Random) -> tuple[int, int] | None:
    """A day and a partition of which there are rows; None if there are none."""
    given = {"generation": generation, "cube": cube.key_of(cube.sets[0]), "grain": _grain(cube)}
    rows = "FROM rollup WHERE generation = :generation AND cube = :cube AND grain = :grain"
    ends = database.execute(tx, f"SELECT min(effective), max(effective) {rows}", given)
    if not ends or ends[0][0] is None:
        return None
    day = draw.randint(ends[0][0], ends[0][1])
    found = database.execute(
        tx, f"SELECT effective, partition {rows} AND effective >= :day ORDER BY effective LIMIT 50", {**given, "day": day}
    )
    effective, partition = draw.choice([tuple(row) for row in found])
    return effective, partition


def _day(
    database: Database, tx: Connection, calendar: Calendar, generation: int, cube: Cube, picked: tuple[int, int], result: Checked
) -> None:
    day, partition = picked
    bounds = {
        "start": calendar.day_start_us(day),
        "end": calendar.day_start_us(day + 1),
        "partition": partition,
        "most": MOST_FACTS + 1,
    }
    kinds = Keys({"kind": "text"}, [(kind,) for kind in cube.kinds])
    facts = {tuple(row[:4]): row for sql in (_LAST, _EARLIER) for row in database.execute(tx, sql, bounds, k=kinds)}
    if len(facts) > MOST_FACTS:
        return
    sums = Sums(calendar)
    with result.reading("", f"facts of day {day}, partition {partition}"):
        for row in facts.values():
            sums.add(one for one in contributions(fact_of(row[4]), bool(row[5]), calendar) if one.cube == cube.name)
        right = {
            (key[0], key[3], key[4]): tuple(values)
            for key, values in sums.rows().items()
            if key[1] == _grain(cube) and key[2] == day
        }
        found = dict(_stored(database, tx, generation, cube, picked))
        result.checked += len(found)
        result.compare_all("", f"{cube.name} on day {day}, partition {partition}", found, right)


def _stored(
    database: Database, tx: Connection, generation: int, cube: Cube, picked: tuple[int, int]
) -> Iterator[tuple[Any, Any]]:
    for names in cube.sets:
        given = {
            "generation": generation,
            "cube": cube.key_of(names),
            "grain": _grain(cube),
            "effective": picked[0],
            "partition": picked[1],
        }
        for row in database.execute(
            tx,
            f"SELECT cube, cohort, dims, {', '.join(VALUES)} FROM rollup WHERE generation = :generation AND cube = :cube "
            "AND grain = :grain AND effective = :effective AND partition = :partition",
            given,
        ):
            yield tuple(row[:3]), tuple(int(value) for value in row[3 : 3 + WIDTH])


def _stretch(database: Database, tx: Connection, bus: Bus, draw: Random, result: Checked) -> None:
    """What is stored of a month is never older than a record before the position, and the same as one of its version."""
    positions = {pair[1]: offset for pair, offset in Positions(database).offsets(tx).items() if pair[0] == JOURNEYS}
    begins = bus.begin_offsets(JOURNEYS)
    partitions = [number for number, end in positions.items() if end > begins.get(number, 0)]
    if not partitions:
        return
    partition = draw.choice(partitions)
    start = draw.randrange(begins.get(partition, 0), positions[partition])
    records = [one for one in bus.read(JOURNEYS, partition, start, STRETCH) if one.offset < positions[partition]]
    newest = {
        one.key: Newest(partition, one.key, one.offset, one.value, one.timestamp_ms, True)
        for one in records
        if one.key != WATERMARK_KEY and one.value is not None
    }
    compare_months(database, tx, result, list(newest.values()))
    result.checked += len(newest)
