"""Whole installations of our own processes: embedded in one, or distributed over several of each room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import msgspec
from sqlalchemy import create_engine, text

from schemas import tokens
from services.cli.simulate.year import SOURCES, Year, batches, generate
from tests.parts.processes import Process

UNTIL_US = 1_735_689_600_000_000
"""The end of the generated year: 1 January 2025."""
KEYS = {source: f"c{n:032d}" for n, source in enumerate(SOURCES)}
PATIENCE_S = 180.0
CHECKED_IN_S = 600.0
Request = tuple[str, list[bytes]]


@dataclass(frozen=True)
class Installation:
    """Processes by room; in an embedded installation one process is all rooms. `journey_database` is an SQLAlchemy URL, `bus` an
    address of `tests.contract.bus_places`."""

    ingests: Sequence[Process]
    journeys: Sequence[Process]
    metrics: Sequence[Process]
    journey_database: str
    bus: str = ""

    @property
    def processes(self) -> list[Process]:
        """Each once."""
        return list(dict.fromkeys([*self.ingests, *self.journeys, *self.metrics]))

    def stored(self) -> list[tuple[str, str]]:
        """(source, id) of every touchpoint that journey has stored, read from its table."""
        engine = create_engine(self.journey_database)
        table = "journey.touchpoint" if engine.dialect.name == "postgresql" else "touchpoint"
        try:
            with engine.connect() as connection:
                return [(row[0], row[1]) for row in connection.execute(text(f"SELECT source, id FROM {table}"))]
        finally:
            engine.dispose()


@contextmanager
def embedded(folder: Path) -> Iterator[Installation]:
    """`waypost up` in a fresh folder."""
    process = Process("up", ["up", "--data", str(folder / "data")], _settings(), folder)
    with _started([process]):
        yield Installation(
            [process], [process], [process], f"sqlite:///{folder / 'data' / 'journey.db'}", f"file:{folder / 'data' / 'bus.db'}"
        )


@contextmanager
def distributed(bootstrap: str, database: str, copies: int, folder: Path) -> Iterator[Installation]:
    """`copies` processes of each room on a Kafka without our topics and an empty PostgreSQL database."""
    shared = {"WAYPOST_BUS": f"kafka://{bootstrap}", "WAYPOST_DATABASE": database, "WAYPOST_PARTITIONS": "6"}
    rooms = {
        room: [Process(f"{room}-{n}", [room], {**_settings(), **shared}, folder) for n in range(1, copies + 1)]
        for room in ("ingest", "journey", "metrics")
    }
    with _started([process for room in rooms.values() for process in room]):
        yield Installation(rooms["ingest"], rooms["journey"], rooms["metrics"], database, f"kafka:{bootstrap}")


def small_year(touchpoints: int, seed: int = 1) -> Year:
    """A generated year of about so many touchpoints."""
    return generate(max(20, touchpoints // 20), touchpoints, seed, UNTIL_US)


def requests_of(year: Year, size: int) -> list[Request]:
    """(write key, touchpoints as JSON) of each request."""
    encode = msgspec.json.encode
    return [(KEYS[source], [encode(body) for body in bodies]) for source, bodies in batches(year.deliveries, 5 * size, size)]


def send_all(
    ingests: Sequence[Process],
    requests: Sequence[Request],
    done: Callable[[Request], None] = lambda _: None,
    before: Callable[[], None] = lambda: None,
    seed: int = 0,
) -> str:
    """Post every request to some ingest, over a few connections, until it is acknowledged; returns the token of it all.

    `before` and `done` are called on the threads that send.
    """

    def send(ingest: Process, request: Request) -> str:
        before()
        token = _send(ingest, request[0], request[1])
        done(request)
        return token

    rng = Random(seed)
    with ThreadPoolExecutor(len(ingests) * 2) as pool:
        jobs = [pool.submit(send, rng.choice(ingests), request) for request in requests]
        return _joined(job.result() for job in jobs)


def ids_of(touchpoints: Sequence[bytes]) -> set[str]:
    """Some touchpoints come twice, even in one request."""
    return {msgspec.json.decode(body)["id"] for body in touchpoints}


def ask(process: Process, path: str, query: Mapping[str, object] | None = None, after: str = "") -> Any:
    """The answer of one process; waits for a token for as long as a restart of everything may take."""
    with closing(process.service(wait_s=PATIENCE_S)) as service:
        return service.get(path, query, after)


def check(process: Process, room: str) -> tuple[int, int, list[Any]]:
    """(checked, mismatches, examples) of a room's check of everything, which may take its time."""
    path = {"journey": "/v1/check/journey?sample=all", "metrics": "/v1/check/metrics"}[room]
    with urlopen(process.url + path, timeout=CHECKED_IN_S) as answer:
        found = msgspec.json.decode(answer.read())
    return found["checked"], found["mismatches"], found["examples"]


def _send(ingest: Process, key: str, touchpoints: Sequence[bytes]) -> str:
    with closing(ingest.service(wait_s=PATIENCE_S)) as service:
        receipt = service.send(key, touchpoints)
    assert receipt.refused == []
    assert receipt.accepted == len(ids_of(touchpoints))
    return receipt.token


def _joined(receipts: Iterable[str]) -> str:
    """One token for many: the highest offset of each partition."""
    highest = tokens.decode(",".join(receipts))
    return tokens.encode((topic, partition, offset) for (topic, partition), offset in highest.items())


def _settings() -> dict[str, str]:
    return {"WAYPOST_WRITE_KEYS": ",".join(f"{source}={key}" for source, key in KEYS.items())}


@contextmanager
def _started(processes: Sequence[Process]) -> Iterator[None]:
    """All at once: that they meet on an empty database and bus is a part of what is tested."""
    try:
        with ThreadPoolExecutor(len(processes)) as pool:
            for started in [pool.submit(process.start) for process in processes]:
                started.result()
        yield
    finally:
        for process in processes:
            process.kill9()
