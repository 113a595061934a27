"""Installations for faults: their processes can be killed at a point, frozen, and asked how they are."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec

from schemas.topics import COMMANDS, JOURNEYS, REJECTED, TOUCHPOINTS
from services.shared.bus.kafka import KafkaBus
from services.shared.errors import Unavailable
from tests.faults.armed import FUSE, waypost
from tests.parts.forked import Finished, ForkedServer, finish
from tests.parts.installation import KEYS, PATIENCE_S, Installation
from tests.parts.kafka import Kafka
from tests.parts.processes import READY, Ended, Process, clean_environment

SOURCE, KEY = next(iter(KEYS.items()))
PARTITIONS = 4
LOOK_S = 0.02
"""How often to look again at what tells nobody that it changed."""
_pause = threading.Event()


class Service(Process):
    """A `waypost` process of ours. It keeps its port, its settings and its log over restarts."""

    def __init__(self, name: str, command: list[str], settings: Mapping[str, str], folder: Path) -> None:
        super().__init__(name, command, settings, folder)
        self._fuse = folder / f"{name}.fuse"
        here = {"WAYPOST_HOST": "127.0.0.1", "WAYPOST_PORT": str(self.port), FUSE: str(self._fuse)}
        self.settings = {**settings}
        self._forked = ForkedServer(waypost, command, {**clean_environment(), **settings, **here}, READY, self.log)
        self._server = self._forked

    def start_to_die(self, point: str, number: int = 1) -> None:
        """Start it; it dies when it passes this point for the n-th time, which may be before it answers anybody."""
        self._fuse.write_text(f"{point} {number} SIGKILL")
        with suppress(Ended):
            self.start()

    def start_to_freeze(self, point: str, number: int = 1) -> None:
        """Start it; it stands still when it passes this point for the n-th time."""
        self._fuse.write_text(f"{point} {number} SIGSTOP")
        self.start()

    def is_frozen(self, within_s: float) -> bool:
        """Whether it has come to the point where it stands still."""
        waited_s = 0.0
        while self._fuse.exists() and waited_s < within_s:
            _pause.wait(LOOK_S)
            waited_s += LOOK_S
        return not self._fuse.exists()

    def died(self) -> None:
        """Return once it has died at its point."""
        code = self._forked.wait(PATIENCE_S)
        assert code == -signal.SIGKILL, f"{self.name} ended with {code}"
        assert not self._fuse.exists(), f"{self.name} was killed, but not at its point"

    def freeze(self) -> None:
        """Stop all its threads where they are, connections open."""
        self._forked.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._forked.signal(signal.SIGCONT)

    def kill9(self) -> None:
        super().kill9()
        self._fuse.unlink(missing_ok=True)

    def health(self) -> dict[str, str]:
        """What /health/ready says of each check, as JSON gives it."""
        try:
            with urlopen(f"{self.url}/health/ready", timeout=10) as answer:
                found = msgspec.json.decode(answer.read())
        except HTTPError as error:
            with closing(error):
                found = msgspec.json.decode(error.read())
        checks: dict[str, str] = found["checks"]
        return checks

    def ready(self) -> None:
        """Return once everything is well with it."""
        until(lambda: set(self.health().values()) == {"ok"}, self.health)

    def run(self, *arguments: str) -> Finished:
        """A further `waypost` command with the settings of this process."""
        return finish(waypost, arguments, self.settings)


def until(happened: Callable[[], Any], else_tell: Callable[[], Any], patience_s: float = 60.0) -> Any:
    """What `happened()` gives, once it is true. It is asked again and again: only for what cannot be waited for otherwise."""
    for _ in range(int(patience_s / LOOK_S)):
        if found := happened():
            return found
        _pause.wait(LOOK_S)
    raise AssertionError(f"waited in vain: {else_tell()}")


@contextmanager
def embedded(folder: Path, **settings: str) -> Iterator[Installation]:
    """`waypost up` in a fresh folder."""
    folder.mkdir(parents=True, exist_ok=True)
    process = Service("up", ["up"], {**_settings(settings), "WAYPOST_DATA": str(folder / "data")}, folder)
    with _started([process]):
        yield Installation([process], [process], [process], f"sqlite:///{folder / 'data' / 'journey.db'}")


@contextmanager
def distributed(
    kafka: Kafka, database: str, folder: Path, copies: Mapping[str, int] | None = None, **settings: str
) -> Iterator[Installation]:
    """Processes of each room (one each, unless told) on a Kafka that many installations have one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    forget_topics(kafka)
    shared = {**_settings(settings), "WAYPOST_BUS": f"kafka://{kafka.bootstrap}", "WAYPOST_DATABASE": database}
    rooms = {
        room: [Service(f"{room}-{n}", [room], shared, folder) for n in range((copies or {}).get(room, 1))]
        for room in ("ingest", "journey", "metrics")
    }
    firsts, others = [room[0] for room in rooms.values()], [process for room in rooms.values() for process in room[1:]]
    with _started(firsts), _started(others):
        yield Installation(rooms["ingest"], rooms["journey"], rooms["metrics"], database)


def forget_topics(kafka: Kafka) -> None:
    """Delete what an earlier installation left on a broker, and return once it is gone."""
    with closing(KafkaBus(kafka.bootstrap)) as bus:
        for topic in (TOUCHPOINTS, REJECTED, COMMANDS, JOURNEYS):
            bus.delete(topic)
            until(partial(_is_gone, bus, topic), f"{topic} does not go".format)


def service(process: Process) -> Service:
    """A process of one of these installations, with all that it can."""
    assert isinstance(process, Service)
    return process


def _is_gone(bus: KafkaBus, topic: str) -> bool:
    try:
        bus.describe(topic)
    except Unavailable:
        return True
    return False


def _settings(more: Mapping[str, str]) -> dict[str, str]:
    keys = ",".join(f"{source}={key}" for source, key in KEYS.items())
    return {"WAYPOST_WRITE_KEYS": keys, "WAYPOST_PARTITIONS": str(PARTITIONS), **more}


@contextmanager
def _started(processes: list[Service]) -> Iterator[None]:
    try:
        with ThreadPoolExecutor(max(1, len(processes))) as pool:
            for started in [pool.submit(process.start) for process in processes]:
                started.result()
        yield
    finally:
        for process in processes:
            process.kill9()
