"""What every benchmark is given: real parts, started when the first asks for them, and all of it ended in the end."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from benchmarks.child import Child
from benchmarks.copying import copied
from benchmarks.stores import PARTITIONS, Stores, fill
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres

KEY = "c0123456789012345678901234"
Form = Literal["sqlite", "postgres"]
FORMS: tuple[Form, ...] = ("sqlite", "postgres")
Part = TypeVar("Part", Kafka, Postgres)


class Bench:
    """A run. `large`: up to a million touchpoints are stored, for questions ten million, and it takes hours. `most`: the most stored."""

    def __init__(self, large: bool = False, most: int | None = None) -> None:
        self.large, self._most = large, most
        self._stack = ExitStack()
        self._filled: dict[tuple[Form, int], Stores] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @cached_property
    def folder(self) -> Path:
        """For the files of this run."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="waypost-bench-")))

    @cached_property
    def kafka(self) -> Kafka:
        return self._started(Kafka(java=()))

    @cached_property
    def postgres(self) -> Postgres:
        return self._started(Postgres({}))

    @property
    def sizes(self) -> tuple[int, int]:
        """How many touchpoints are stored where the cost must not depend on it: few, and ten times as many."""
        if self._most is not None:
            return self._most // 10, self._most
        return (100_000, 1_000_000) if self.large else (10_000, 100_000)

    @property
    def question_sizes(self) -> tuple[int, ...]:
        """The same for what is asked of metrics."""
        if self._most is not None:
            return self.sizes
        return (100_000, 1_000_000, 10_000_000) if self.large else (100_000, 1_000_000)

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def start(self, child: Child) -> Child:
        """Start a process that is ended with the run at the latest."""
        self._stack.callback(child.stop)
        child.start()
        return child

    def settings(self, *, on_kafka: bool = False, on_postgres: bool = False) -> dict[str, str]:
        """Of a fresh installation: no topic, no table, no folder is there yet. One source, whose write key is KEY."""
        settings = {
            "WAYPOST_DATA": str(self.new_folder()),
            "WAYPOST_WRITE_KEYS": f"bench={KEY}",
            "WAYPOST_PARTITIONS": str(PARTITIONS),
        }
        if on_kafka:
            settings["WAYPOST_BUS"] = f"kafka://{self.kafka.bootstrap}"
        if on_postgres:
            settings["WAYPOST_DATABASE"] = self.postgres.new_database()
        return settings

    def filled(self, on: Form, touchpoints: int) -> Stores:
        """Journey's and metrics' databases with so many touchpoints stored; kept for the whole run."""
        if (on, touchpoints) not in self._filled:
            if on == "postgres":
                stores = copied(self.filled("sqlite", touchpoints), self.postgres.new_database())
            else:
                stores = Stores(self.new_folder())
                fill(stores, touchpoints)
            self._filled[on, touchpoints] = stores
            self._stack.callback(stores.close)
        return self._filled[on, touchpoints]

    def _started(self, part: Part) -> Part:
        self._stack.enter_context(closing(part))
        part.start()
        return part
