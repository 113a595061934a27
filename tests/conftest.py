"""Real parts, started when the first test asks for one and shared by the whole run."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests.parts.kafka import LEAVES_SOCKETS, Kafka
from tests.parts.postgres import Postgres
from tests.parts.server import PartMissing

Part = TypeVar("Part", Kafka, Postgres)

settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # no test fails because the machine has other things to do

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 1024**3
"""More than all files of a run."""


def pytest_configure(config: pytest.Config) -> None:
    """All warnings are errors but this one, which kafka-python gives when it is imported on Python 3.11 and 3.12."""
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")
    if os.environ.get("WAYPOST_TEST_KAFKA") and config.getoption("numprocesses", None):
        raise pytest.UsageError("WAYPOST_TEST_KAFKA is one Kafka, and two tests at a time need one each: run with -n 0")
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)  # no test cuts the power, so nothing need wait for a disk


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each makes a test do more: `--touchpoints 50000` that of endurance, `--one-customer-in 1` that of an import, others those of faults."""
    parser.addoption("--touchpoints", type=int, default=5_000, help="how many touchpoints the test of endurance sends")
    parser.addoption("--one-customer-in", type=int, default=6, help="of how many customers the purchases of one are imported")
    parser.addoption("--merges", type=int, default=800, help="how many touchpoints the tests of faults stitch under contention")
    parser.addoption("--away", type=float, default=2.0, help="for how many seconds tests of faults keep broker and database away")
    parser.addoption("--crashes", type=int, default=1, help="how often the tests of faults die at each point")
    parser.addoption("--machine-examples", type=int, default=12, help="how many histories the stateful test makes up")


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[Kafka]:
    """A running Kafka. Who stops it starts it again. Modules that use it in their own process are marked with LEAVES_SOCKETS."""
    pytestconfig.addinivalue_line("filterwarnings", LEAVES_SOCKETS)  # for what is collected after such a module
    logging.getLogger("kafka.net").setLevel(logging.CRITICAL)  # pytest keeps its records, and they keep the sockets
    yield from _run(Kafka)
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL. Who stops it starts it again."""
    yield from _run(Postgres)


def _run(part: type[Part]) -> Iterator[Part]:
    try:
        running = part()
        running.start()
    except PartMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with closing(running):
        yield running
