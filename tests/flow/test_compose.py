"""docker-compose.yml, run as it is declared (see tests/parts/declared.py), from a touchpoint posted to the proxy to what Prometheus sees."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import yaml

from services.shared.errors import Rejected
from tests.parts import compose, declared
from tests.parts.declared import ROOMS, Running
from tests.parts.needed import lacking, program
from tests.parts.postgres import Postgres
from tests.parts.proxy import Proxy
from tests.parts.server import PartMissing, Server, free_port

KEY = "c0123456789012345678901234"
VARIABLES = {
    "POSTGRES_PASSWORD": "secret",
    "WAYPOST_WRITE_KEYS": f"web={KEY}",
    "WAYPOST_READ_TOKENS": "reading",
    "WAYPOST_ADMIN_TOKENS": "deciding",
    "GRAFANA_PASSWORD": "looking",
    "WAYPOST_PARTITIONS": "3",
}
SEEN_IN_S = 60.0


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return compose.load(VARIABLES)


@pytest.fixture(scope="module")
def running(file: dict[str, Any], postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    try:
        with declared.running(file, postgres, tmp_path_factory.mktemp("compose")) as running:
            yield running
    except PartMissing as error:
        lacking(str(error))


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
        month = {"from": "2026-03-01", "to": "2026-04-01"}
        person = service.get("/v1/persons/customer_id:c-1", after=receipt.token)
        kpi = service.get("/v1/kpis/touchpoints", month, after=receipt.token)
        stages = service.get("/v1/stages", month)["stages"]
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


def test_prometheus_scrapes_every_process_and_evaluates_every_alert(
    file: dict[str, Any], running: Running, tmp_path: Path
) -> None:
    """The real Prometheus, as it is declared; the names that an engine would look up are this machine's addresses."""
    port = free_port()
    here = {
        "/etc/prometheus/prometheus.yml": str(_scraping(running, port, tmp_path)),
        "=/prometheus": f"={tmp_path / 'data'}",
    }
    arguments = [_replaced(argument, here) for argument in file["services"]["prometheus"]["command"]]
    command = [program("prometheus", "prometheus"), *arguments, f"--web.listen-address=127.0.0.1:{port}"]
    prometheus = Server(command, "Server is ready to receive web requests", tmp_path / "prometheus.log")
    prometheus.start()
    try:
        url = f"http://127.0.0.1:{port}"
        assert _until(lambda: _healthy(url), [*ROOMS, "prometheus"])
        assert _until(lambda: {rule["health"] for rule in _rules(url)}, {"ok"})
        with closing(running.service()) as service:
            service.send(KEY, [b'{"type": "page_viewed", "identities": {"customer_id": "scraped"}}'])
        assert _until(lambda: _value(url, "sum(waypost_journey_records_total) > bool 0"), "1")
    finally:
        prometheus.stop()


def _scraping(running: Running, port: int, folder: Path) -> Path:
    """The declared configuration, with the addresses of the processes and without the waiting."""
    declared_file = compose.ROOT / "deploy" / "prometheus" / "prometheus.yml"
    text = declared_file.read_text().replace("127.0.0.1:9090", f"127.0.0.1:{port}").replace("15s", "1s")
    config = yaml.safe_load(text.replace("alerts.yml", str(declared_file.with_name("alerts.yml"))))
    for job in config["scrape_configs"]:
        for names in job.pop("dns_sd_configs", []):
            assert (names["type"], names["port"]) == ("A", 8000)
            targets = [f"127.0.0.1:{running.processes[name].port}" for name in names["names"]]
            job["static_configs"] = [{"targets": targets}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def _replaced(text: str, by: Mapping[str, str]) -> str:
    for old, new in by.items():
        text = text.replace(old, new)
    return text


def _until(ask: Callable[[], object], wanted: object) -> bool:
    """Whether the answer becomes what is wanted in time."""
    give_up = monotonic() + SEEN_IN_S
    while monotonic() < give_up:
        if ask() == wanted:
            return True
    return False


def _healthy(url: str) -> list[str]:
    return sorted(
        target["labels"]["job"] for target in _told(url, "/api/v1/targets")["activeTargets"] if target["health"] == "up"
    )


def _rules(url: str) -> list[dict[str, Any]]:
    return [rule for group in _told(url, "/api/v1/rules")["groups"] for rule in group["rules"]]


def _value(url: str, expression: str) -> str | None:
    found = _told(url, "/api/v1/query?" + urlencode({"query": expression}))["result"]
    return found[0]["value"][1] if found else None


def _told(url: str, path: str) -> Any:
    status, body = _asked(url, "GET", path)
    assert status == 200, body
    return msgspec.json.decode(body)["data"]


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
