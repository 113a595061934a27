"""Real parts, started when the first test asks for one and shared by the whole run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import TypeVar

import pytest

from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres
from tests.parts.server import PartMissing

Part = TypeVar("Part", Kafka, Postgres)


def pytest_configure(config: pytest.Config) -> None:
    """All warnings are errors but this one, which kafka-python gives when it is imported on Python 3.11 and 3.12."""
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A running Kafka. Who stops it starts it again."""
    yield from _run(Kafka)


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
