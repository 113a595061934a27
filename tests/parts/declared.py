"""Running docker-compose.yml without an engine.

Each service's declared command runs with its declared environment as a process of this machine, in the declared order, and is
waited for by its declared health check. What is replaced: names of services by loopback addresses, ports by free ones, and the
images of Kafka and PostgreSQL by the real ones that the tests have; Kafka is set up from its declared environment.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from services.cli.client import Service
from tests.parts import compose
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres
from tests.parts.processes import Process
from tests.parts.proxy import Proxy

ROOMS = ("ingest", "journey", "metrics")
STARTED_IN_S = 60


@dataclass(frozen=True)
class Running:
    """What came up, in the order in which it did."""

    order: list[str]
    processes: Mapping[str, Process]
    url: str

    def service(self, token: str = "reading") -> Service:
        return Service(self.url, token)


@contextmanager
def running(file: Mapping[str, Any], postgres: Postgres, folder: Path) -> Iterator[Running]:
    """Everything that takes touchpoints and answers questions. Raises PartMissing."""
    processes, order = dict[str, Process](), list[str]()
    with ExitStack() as stack:
        for name in compose.start_order(file):
            declared = file["services"][name]
            match name:
                case "kafka":
                    kafka = stack.enter_context(closing(_kafka(declared["environment"])))
                case "postgres":
                    database = postgres.new_database()
                case "proxy":
                    proxy = stack.enter_context(closing(_proxy(processes, folder)))
                    wait_until_healthy(declared, {"8080": str(proxy.port)})
                case "ingest" | "journey" | "metrics":
                    processes[name] = _room(name, declared, {"kafka:9092": kafka.bootstrap}, database, folder)
                    stack.callback(processes[name].stop)
                    processes[name].start()
                    wait_until_healthy(declared, {"8000": str(processes[name].port)})
                case _:
                    continue
            order.append(name)
        yield Running(order, processes, proxy.url)


def wait_until_healthy(declared: dict[str, Any], ports: Mapping[str, str]) -> None:
    """Run the declared check until it says yes; one that takes long is asked less often."""
    kind, *check = declared["healthcheck"]["test"]
    assert kind == "CMD"
    for inside, here in ports.items():
        assert inside in check[-1]
        check[-1] = check[-1].replace(inside, here)
    command = {
        "python": [sys.executable, *check[1:]],
        "wget": [sys.executable, "-c", f"from urllib.request import urlopen; urlopen({check[-1]!r})"],
    }[check[0]]
    give_up, said = monotonic() + STARTED_IN_S, ""
    while monotonic() < give_up:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        if done.returncode == 0:
            return
        said = done.stderr
    raise AssertionError(f"{declared.get('command')} did not become healthy: {said}")


def _kafka(environment: Mapping[str, str]) -> Kafka:
    """A Kafka with the declared properties; of them, addresses and folder are this machine's."""
    text = compose.kafka_properties(environment)
    here = {
        "://0.0.0.0:9092": "://127.0.0.1:{port}",
        "://kafka:9092": "://127.0.0.1:{port}",
        "127.0.0.1:9093": "127.0.0.1:{controller_port}",
        "/var/lib/kafka/data": "{folder}/data",
    }
    for declared, local in here.items():
        assert declared in text
        text = text.replace(declared, local)
    kafka = Kafka(text)
    kafka.start()
    return kafka


def _room(name: str, declared: dict[str, Any], addresses: Mapping[str, str], database: str, folder: Path) -> Process:
    settings = dict(declared["environment"])
    for called, address in addresses.items():
        settings = {key: value.replace(called, address) for key, value in settings.items()}
    return Process(name, declared["command"], {**settings, "WAYPOST_DATABASE": database}, folder)


def _proxy(processes: Mapping[str, Process], folder: Path) -> Proxy:
    proxy = Proxy({f"{name}:8000": f"127.0.0.1:{process.port}" for name, process in processes.items()}, folder)
    proxy.start()
    return proxy
