"""docker-compose.yml, run without an engine.

Each service's declared command runs with its declared environment as a process of this machine, in the declared order, and is
waited for by its declared health check. What is replaced: names of services by loopback addresses, ports by free ones, and the
images of Kafka and PostgreSQL by the real ones that the tests have; Kafka is set up from its declared environment.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

from services.cli.client import Service
from services.shared.errors import Rejected
from tests.parts import compose
from tests.parts.kafka import Kafka
from tests.parts.needed import lacking
from tests.parts.postgres import Postgres
from tests.parts.processes import Process
from tests.parts.proxy import Proxy
from tests.parts.server import PartMissing

KEY = "c0123456789012345678901234"
VARIABLES = {
    "POSTGRES_PASSWORD": "secret",
    "WAYPOST_WRITE_KEYS": f"web={KEY}",
    "WAYPOST_READ_TOKENS": "reading",
    "WAYPOST_ADMIN_TOKENS": "deciding",
    "GRAFANA_PASSWORD": "looking",
    "WAYPOST_PARTITIONS": "3",
}
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


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return compose.load(VARIABLES)


@pytest.fixture(scope="module")
def running(file: dict[str, Any], postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Everything that takes touchpoints and answers questions."""
    folder, processes, order = tmp_path_factory.mktemp("compose"), dict[str, Process](), list[str]()
    with ExitStack() as stack:
        for name in compose.start_order(file):
            declared = file["services"][name]
            try:
                match name:
                    case "kafka":
                        kafka = stack.enter_context(closing(_kafka(declared["environment"])))
                    case "postgres":
                        database = postgres.new_database()
                    case "proxy":
                        proxy = stack.enter_context(closing(_proxy(processes, folder)))
                        _wait_until_healthy(declared, {"8080": str(proxy.port)})
                    case "ingest" | "journey" | "metrics":
                        processes[name] = _room(name, declared, {"kafka:9092": kafka.bootstrap}, database, folder)
                        stack.callback(processes[name].stop)
                        processes[name].start()
                        _wait_until_healthy(declared, {"8000": str(processes[name].port)})
                    case _:
                        continue
            except PartMissing as error:
                lacking(str(error))
            order.append(name)
        yield Running(order, processes, proxy.url)


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


def _wait_until_healthy(declared: dict[str, Any], ports: Mapping[str, str]) -> None:
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
    pytest.fail(f"{declared.get('command')} did not become healthy: {said}")


def test_everything_comes_up_in_the_declared_order(running: Running) -> None:
    assert set(running.order[:2]) == {"kafka", "postgres"}
    assert set(running.order[2:5]) == set(ROOMS)
    assert running.order[5:] == ["proxy"]


def test_a_touchpoint_posted_to_the_proxy_is_seen_in_person_kpi_and_stage_table(running: Running) -> None:
    touchpoints = [
        {
            "id": f"t{n}",
            "type": kind,
            "occurred_at": f"2026-03-0{n}T10:00:00Z",
            "channel": "web",
            "identities": {"customer_id": "c-1"},
        }
        for n, kind in ((1, "page_viewed"), (2, "product_viewed"), (3, "order_completed"))
    ]
    with closing(running.service()) as service:
        receipt = service.send(KEY, [msgspec.json.encode(touchpoint) for touchpoint in touchpoints])
        assert (receipt.accepted, receipt.refused) == (3, [])
        year = {"from": "2026-01-01", "to": "2027-01-01"}
        person = service.get("/v1/persons/customer_id:c-1", after=receipt.token)
        kpi = service.get("/v1/kpis/touchpoints", year, after=receipt.token)
        stages = service.get("/v1/stages", year)["stages"]
    assert person["touchpoints"] == 3
    assert [journey["furthest_stage"] for journey in person["journeys"]] == ["purchase"]
    assert [row["value"] for row in kpi["rows"]] == [3]
    assert {row["stage"]: row["reached"] for row in stages} == {
        "awareness": 1,
        "consideration": 1,
        "purchase": 1,
        "loyalty": 0,
        "advocacy": 0,
    }


@pytest.mark.parametrize("path", ["/v1/persons/customer_id:c-1", "/v1/kpis", "/v1/check/journey"])
def test_without_a_token_nothing_is_told(running: Running, path: str) -> None:
    with closing(running.service("guessed")) as service, pytest.raises(Rejected, match="token_unknown"):
        service.get(path)


def test_without_a_write_key_nothing_is_taken(running: Running) -> None:
    with closing(running.service()) as service, pytest.raises(Rejected, match="unknown_write_key"):
        service.send("c9999999999999999999999999", [b"{}"])


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_tells_its_own_state_through_the_proxy(running: Running, room: str) -> None:
    with closing(running.service()) as service:
        assert service.get(f"/{room}/health/ready")["ready"] is True


def test_figures_are_for_prometheus_and_not_for_the_world(running: Running) -> None:
    with closing(running.service()) as service, pytest.raises(Rejected, match="not_found"):
        service.get("/metrics")
    for room, process in running.processes.items():
        assert f"waypost_{room}_" in _asked(process.url, "GET", "/metrics")[1].decode()


def test_a_body_over_every_limit_is_refused_in_the_one_shape_of_errors(running: Running) -> None:
    status, body = _asked(running.url, "POST", "/v1/touchpoints", b" " * 7_000_000)
    assert (status, msgspec.json.decode(body)["code"]) == (413, "body_too_large")


def test_a_room_without_a_process_is_a_503_that_asks_to_come_again(running: Running) -> None:
    running.processes["ingest"].stop()
    try:
        status, body = _asked(running.url, "POST", "/v1/touchpoints", b"{}")
    finally:
        running.processes["ingest"].start()
    assert (status, msgspec.json.decode(body)["code"]) == (503, "unavailable")


def test_the_proxy_sends_every_path_of_every_room_to_that_room(running: Running, tmp_path: Path) -> None:
    """Behind the same configuration, three servers that answer with their own name."""
    paths = {
        room: sorted(
            {_sample(path) for path in msgspec.json.decode(_asked(running.url, "GET", f"/{room}/openapi.json")[1])["paths"]}
        )
        for room in ROOMS
    }
    common = set.intersection(*map(set, paths.values()))
    assert common == {"/health/live", "/health/ready", "/metrics"}
    with ExitStack() as stack:
        servers = {room: stack.enter_context(_named(room)) for room in ROOMS}
        proxy = Proxy({f"{room}:8000": f"127.0.0.1:{server.server_port}" for room, server in servers.items()}, tmp_path)
        stack.callback(proxy.close)
        proxy.start()
        answered = {path: _asked(proxy.url, "GET", path)[1].decode() for room in ROOMS for path in set(paths[room]) - common}
    assert answered == {path: room for room in ROOMS for path in set(paths[room]) - common}
    assert {"/v1/touchpoints", "/v1/persons/x", "/v1/kpis", "/v1/stages"} <= answered.keys()


def _asked(url: str, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json", "X-Write-Key": KEY})
        answer = connection.getresponse()
        return answer.status, answer.read()


def _sample(path: str) -> str:
    """A path with something in the place of its parameters."""
    return "/".join("x" if part.startswith("{") else part for part in path.split("/"))


def _named(name: str) -> ThreadingHTTPServer:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
