"""Whether positions, watermarks and stored facts are what the topic `journeys` says up to the positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from sqlalchemy import Connection

from schemas.facts import WATERMARK_KEY, month_key
from schemas.topics import JOURNEYS
from services.metrics.store import watermarks
from services.metrics.store.tables import PERSON_MONTH
from services.metrics.store.taking import Month, MonthKey, published_month, stored_months, version_of
from services.shared.bus import Bus, Record
from services.shared.checked import Checked
from services.shared.db import Database
from services.shared.errors import Rejected
from services.shared.newest import Newest, NewestRecords
from services.shared.paging import pages
from services.shared.positions import Positions


def topic_steps(database: Database, tx: Connection, bus: Bus, result: Checked) -> Iterator[Checked]:
    """Compare in the caller's snapshot, telling from time to time. A key whose newest record before the position was compacted away,
    because there are later ones, is passed over: that is for the next check."""
    positions = Positions(database).read(tx)
    stored = {pair[1]: one for pair, one in positions.items() if pair[0] == JOURNEYS}
    info, begins, ends = bus.describe(JOURNEYS), bus.begin_offsets(JOURNEYS), bus.end_offsets(JOURNEYS)
    before = result.mismatches
    for partition, one in sorted(stored.items()):
        result.compare("", f"topic of position {partition}", (one.topic_id, one.partitions), (info.id, info.partitions))
        is_there = begins.get(partition, 0) <= one.next_offset <= ends.get(partition, 0)
        right = one.next_offset if is_there else f"{begins.get(partition)} to {ends.get(partition)}"
        result.compare("", f"position {partition}", one.next_offset, right)
    for topic, partition in positions:
        result.compare("", f"position {partition}: its topic", topic, JOURNEYS)
    yield result
    if result.mismatches > before:
        return
    with closing(NewestRecords(bus, JOURNEYS, version_of)) as newest:
        for _ in newest.gather(begins, ends, {partition: one.next_offset for partition, one in stored.items()}):
            yield result
        marks = watermarks.rows(database, tx)
        _too_low(bus, result, {partition: one.next_offset for partition, one in stored.items()}, marks)
        for page in newest.pages():
            compare_months(database, tx, result, [record for record in page if record.key != WATERMARK_KEY])
            for mark in page:
                if mark.key == WATERMARK_KEY:
                    _watermark(result, mark, marks.pop(mark.partition, None))
            yield result
        for partition in sorted(marks):
            result.compare("", f"watermark of partition {partition}", "stored", "none on the topic")
        yield from _unknown(database, tx, newest, result)


def _too_low(bus: Bus, result: Checked, positions: Mapping[int, int], marks: Mapping[int, tuple[str, int]]) -> None:
    """What comes next is not what was taken already."""
    for partition, offset in positions.items():
        for record in bus.read(JOURNEYS, partition, offset):
            if record.key == WATERMARK_KEY and watermarks.row_of(record) == marks.get(partition):
                result.compare("", f"position {partition}", offset, f"above {record.offset}")


def _watermark(result: Checked, one: Newest, found: tuple[str, int] | None) -> None:
    if one.offset < 0 or (one.later and found is not None and found[1] > one.timestamp_ms):
        return
    with result.reading("", f"watermark of partition {one.partition}"):
        right = watermarks.row_of(_record(one))
        result.compare("", f"watermark of partition {one.partition}", found, right)


def compare_months(database: Database, tx: Connection, result: Checked, page: Sequence[Newest]) -> None:
    """Compare months with their newest records; one that is newer than a record with later ones is as it may be."""
    expected: dict[MonthKey, tuple[Newest, Month]] = {}
    for one in page:
        if one.offset >= 0:
            try:
                key, month = published_month(_record(one))
            except Rejected:
                continue  # it was rejected when it came, and is kept as such
            expected[key] = (one, month)
    found = stored_months(database, tx, expected)
    for key, (one, month) in expected.items():
        _compare(result, key, one, found.get(key, Month()), month)


def _compare(result: Checked, key: MonthKey, one: Newest, found: Month, right: Month) -> None:
    if one.later and (found.version is None or found.version > (right.version or 0)):
        return
    of = f"of {key.month} on the topic"
    result.compare(key.person_id, f"version {of}", found.version, right.version)
    if found.version != right.version:
        return
    result.compare(key.person_id, f"identified {of}", found.identified, right.identified)
    for name in sorted(found.facts.keys() | right.facts.keys()):
        result.compare(key.person_id, f"fact {name} {of}", found.facts.get(name), right.facts.get(name))


def _unknown(database: Database, tx: Connection, newest: NewestRecords, result: Checked) -> Iterator[Checked]:
    """Months that the topic has never heard of."""
    for page in pages(database, tx, PERSON_MONTH, ("version",)):
        keys = {(row[0], month_key(row[1], row[2])): row for row in page}
        known = newest.of(list(keys))
        for key in keys.keys() - known.keys():
            _, person_id, month, version = keys[key]
            result.compare(person_id, f"version of {month} on the topic", version, None)
        yield result


def _record(one: Newest) -> Record:
    return Record(JOURNEYS, one.partition, one.offset, one.key, one.value, one.timestamp_ms)
