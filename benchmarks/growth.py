"""Growth: what a batch costs in journey and in metrics with few touchpoints stored, and with ten times as many."""

from __future__ import annotations

from statistics import median

from benchmarks.bench import FORMS, Bench, Form
from benchmarks.row import Row, ratio, spread
from benchmarks.stores import PARTITIONS, Spent
from benchmarks.workload import records

BATCH, BATCHES, WARM_UP = 500, 12, 2
GOAL = 1.1


def run(bench: Bench) -> list[Row]:
    """Pairs: the same batch, of people who are new to both, into the store with few and into the one with many."""
    return [row for on in FORMS for row in _grown(bench, on)]


def _grown(bench: Bench, on: Form) -> list[Row]:
    stores = [bench.filled(on, touchpoints) for touchpoints in bench.sizes]
    stream = records(BATCH * (BATCHES + WARM_UP), PARTITIONS, seed=0, world=f"growth-{on}")
    pairs = []
    for turn, first in enumerate(range(0, len(stream), BATCH)):
        one, other = reversed(stores) if turn % 2 else stores
        spent = {store: store.take(stream[first : first + BATCH]) for store in (one, other)}
        few, many = (spent[store] for store in stores)
        if not few.months == many.months > 0:
            raise RuntimeError(f"the stores did different work: {few.months} and {many.months} months of people changed")
        pairs.append((few, many))
    return [_row(on, room, bench.sizes, pairs[WARM_UP:]) for room in ("journey", "metrics")]


def _row(on: Form, room: str, sizes: tuple[int, int], pairs: list[tuple[Spent, Spent]]) -> Row:
    few, many = ([getattr(spent, f"{room}_s") / BATCH for spent in side] for side in zip(*pairs, strict=True))
    beside = {f"us_with_{size:,}": 1e6 * median(side) for size, side in zip(sizes, (few, many), strict=True)} | spread(many, few)
    return Row(
        f"growth, {room} on {on}: a batch with {sizes[1]:,} stored / with {sizes[0]:,}", ratio(many, few), "×", GOAL, beside
    )
