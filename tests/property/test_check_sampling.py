"""A sample of the check: it finds nothing where all is right, and in the end whatever is wrong where it looks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client import CollectorRegistry

from schemas.topics import JOURNEYS
from services.metrics.store.sampling import sample
from services.shared.background import Sampling
from services.shared.bus import Bus, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.checked import Checked
from services.shared.clock import system_clock
from services.shared.db import Database, sqlite_url
from services.shared.log import Log
from services.shared.mismatches import CheckFigures
from tests.property.test_metrics_rollups import CALENDAR, PARTITIONS, Store, Stream, streams


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(Database(sqlite_url(tmp_path_factory.mktemp("metrics") / "metrics.sqlite"), durable=False)) as database:
        yield Store(database)


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder: Path = tmp_path_factory.mktemp("bus")
    with closing(EmbeddedBus(folder / "bus.db")) as made:
        made.create([TopicSpec(JOURNEYS, PARTITIONS, compacted=True)])
        yield made


def sampled(store: Store, bus: Bus, seed: int) -> Checked:
    with store.database.snapshot() as tx:
        return sample(store.database, tx, CALENDAR, bus, Random(seed))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(stream=streams())
def test_samples_find_nothing_where_all_is_right(store: Store, bus: Bus, stream: Stream) -> None:
    store.fill(stream.batches)
    assert [sampled(store, bus, seed).examples for seed in range(30)] == [[]] * 30


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(stream=streams().filter(lambda stream: any(month.facts for month in stream.newest)))
def test_what_is_wrong_every_day_is_found_by_the_first_sample_that_looks(store: Store, bus: Bus, stream: Stream) -> None:
    store.fill(stream.batches)
    with store.database.transaction() as tx:
        store.database.execute(tx, "UPDATE rollup SET v0 = v0 + 1 WHERE grain IN ('d', 'dd')")
    looked = [found for found in (sampled(store, bus, seed) for seed in range(30)) if found.checked]
    assert all(found.mismatches > 0 for found in looked)


def test_what_a_sample_found_stands_until_a_complete_check_says_otherwise() -> None:
    registry = CollectorRegistry()
    figures, labels = CheckFigures(registry, "journey"), {"check": "journey"}
    assert registry.get_sample_value("waypost_check_last_seconds", labels) == 0
    began_s = time.time()
    for found in (Checked(5, 0), Checked(5, 2), Checked(5, 0)):
        figures.sampled(found)
    assert registry.get_sample_value("waypost_check_mismatches", labels) == 2
    assert (registry.get_sample_value("waypost_check_last_seconds", labels) or 0) >= began_s
    figures.complete(Checked(100, 0))
    assert registry.get_sample_value("waypost_check_mismatches", labels) == 0
    assert registry.get_sample_value("waypost_check_things_total", labels) == 115


def test_samples_are_taken_until_it_is_stopped() -> None:
    registry, enough = CollectorRegistry(), []
    figures = CheckFigures(registry, "metrics")

    def found(checked: Checked) -> None:
        figures.sampled(checked)
        enough.append(checked)
        if len(enough) == 3:
            sampling._stopping.set()

    sampling = Sampling(lambda: Checked(7, 0), found, 0.001, Log("metrics", system_clock))
    sampling.start()
    sampling._thread.join(20)
    sampling.stop()
    assert registry.get_sample_value("waypost_check_things_total", {"check": "metrics"}) == 21
