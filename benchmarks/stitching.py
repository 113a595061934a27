"""Stitching: journey's batches against bare-inserting the same touchpoints into the same table of the same PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from benchmarks.bench import Bench
from benchmarks.row import Row, ratio, spread
from benchmarks.workload import records
from schemas import vocabulary
from services.journey.consumer import BATCH, derivation
from services.journey.main import fold_rules, writer_of
from services.journey.store.ownership import Lockable
from services.journey.store.tables import TOUCHPOINT
from services.journey.store.write import Incoming, NotLocked, Writer, prepare
from services.shared import collector
from services.shared.bus import Record
from services.shared.config import Settings
from services.shared.db import Database

TOUCHPOINTS, ROUNDS = 20_000, 3
_COLUMNS = (
    "source", "id", "anchor_id", "set_id", "owner_id", "time_us", "original_us", "received_us", "case_rank", "has_copies",
    "without_device", "body",
)  # fmt: skip


def bare_insert(database: Database, batches: Sequence[Sequence[Record]]) -> float:
    """Seconds to insert the touchpoints with nothing else: one INSERT … SELECT unnest per batch, rows made beforehand."""
    read = derivation(vocabulary.load(None))
    seen: set[tuple[str, str]] = set()
    prepared = []
    for batch in batches:
        rows = []
        for record in batch:
            d = read(record.value or b"")
            if (d.source, d.id) not in seen:
                seen.add((d.source, d.id))
                number = hash(d.anchor) & 0xFFFF
                rows.append(
                    (
                        d.source,
                        d.id,
                        number,
                        number,
                        number,
                        d.time_us,
                        d.original_us,
                        d.received_us,
                        d.case_rank,
                        False,
                        d.device is None,
                        record.value,
                    )
                )
        prepared.append(rows)
    start = time.perf_counter()
    for rows in prepared:
        with database.transaction() as tx:
            database.insert(tx, TOUCHPOINT, _COLUMNS, rows)
    return time.perf_counter() - start


def stitch(database: Database, writer: Writer, batches: Sequence[Sequence[Record]]) -> float:
    """Seconds to take the same records the way journey's consumer does, from bytes to facts."""
    read = derivation(vocabulary.load(None))
    start = time.perf_counter()
    for batch in batches:
        also: frozenset[Lockable] = frozenset()
        while True:
            try:
                with database.transaction() as tx:
                    writer.take(tx, [Incoming(read(record.value or b""), record.value or b"") for record in batch], also)
            except NotLocked as more:
                also |= more.identities
            else:
                break
    return time.perf_counter() - start


def measure(url: str, touchpoints: int) -> dict[str, float]:
    """Seconds and the ratio; both runs on fresh schemas of the database at `url`."""
    stream = records(touchpoints, 12)
    batches = [stream[first : first + BATCH] for first in range(0, len(stream), BATCH)]
    bare, journey = Database(url, "bench_bare"), Database(url, "bench_journey")
    for database in (bare, journey):
        with database.transaction() as tx:
            tx.exec_driver_sql(f'DROP SCHEMA IF EXISTS "{database.schema}" CASCADE')
    prepare(bare)
    read = derivation(vocabulary.load(None))
    writer = writer_of(Settings(), journey, prepare(journey), fold_rules(Settings()), read)
    collector.calm()
    bare_s = bare_insert(bare, batches)
    journey_s = stitch(journey, writer, batches)
    return {"touchpoints": len(stream), "bare_s": bare_s, "journey_s": journey_s, "ratio": journey_s / bare_s}


def run(bench: Bench) -> list[Row]:
    """Pairs: a year bare, then stitched; on fresh schemas every time."""
    pairs = [measure(bench.postgres.url, TOUCHPOINTS) for _ in range(ROUNDS)]
    bare, ours = ([1e6 * pair[name] / pair["touchpoints"] for pair in pairs] for name in ("bare_s", "journey_s"))
    beside = {"journey_us": median(ours), "bare_us": median(bare)} | spread(ours, bare)
    return [Row("stitching: wall time / bare inserts into the same PostgreSQL", ratio(ours, bare), "×", 2, beside)]
