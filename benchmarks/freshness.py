"""Freshness: from the receipt of a touchpoint until it is in the person's journey and in a KPI, at half of full load."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import msgspec

from benchmarks.bench import KEY, Bench
from benchmarks.child import waypost
from benchmarks.row import Row, quantile
from benchmarks.workload import deliveries
from services.cli.client import Service
from services.cli.sending import Sender

FULL, SIZE, LOAD_S, EVERY_S = 6_000, 100, 20.0, 0.1
KPI = "/v1/kpis/touchpoints?from=2026-10-01&to=2026-11-01"
PERSON = "/v1/persons/customer_id:{customer}"
ROOMS = ("ingest", "journey", "metrics")


def run(bench: Bench) -> list[Row]:
    """First as fast as it goes, which is full load; then half as many a second, while single touchpoints are followed."""
    up = bench.start(waypost(["up"], bench.settings(), bench.folder))
    embedded = _row("embedded", dict.fromkeys(ROOMS, up.url))
    up.stop()
    settings = bench.settings(on_kafka=True, on_postgres=True)
    children = {room: bench.start(waypost([room], settings, bench.folder)) for room in ROOMS}
    distributed = _row("Kafka and PostgreSQL", {room: child.url for room, child in children.items()})
    for child in children.values():
        child.stop()
    return [embedded, distributed]


def _row(form: str, urls: Mapping[str, str]) -> Row:
    touchpoints = [msgspec.json.encode(body) for _, body in deliveries(FULL, world="full")]
    full_per_s = _full_load(urls, touchpoints)
    journey_ms, metrics_ms = _followed(urls, full_per_s / 2)
    beside = {
        "journey_p50_ms": median(journey_ms),
        "journey_p99_ms": quantile(journey_ms, 0.99),
        "kpi_p50_ms": median(metrics_ms),
        "kpi_p99_ms": quantile(metrics_ms, 0.99),
        "followed": len(journey_ms) + len(metrics_ms),
        "full_load_per_s": full_per_s,
    }
    worse = max(quantile(journey_ms, 0.99), quantile(metrics_ms, 0.99))
    return Row(f"freshness, {form}: accepted until visible in journey and KPI, p99", worse, "ms", 250, beside)


def _full_load(urls: Mapping[str, str], touchpoints: Sequence[bytes]) -> float:
    """Touchpoints a second, sent as fast as they are taken, until the last is counted."""
    began = time.perf_counter()
    sender = Sender(urls["ingest"])
    for first in range(0, len(touchpoints), SIZE):
        sender.send(KEY, touchpoints[first : first + SIZE], lambda receipt: None)
    metrics = Service(urls["metrics"])
    metrics.get(KPI, after=sender.finish())
    metrics.close()
    return len(touchpoints) / (time.perf_counter() - began)


def _followed(urls: Mapping[str, str], per_s: float) -> tuple[list[float], list[float]]:
    """Milliseconds of the touchpoints followed into journey, and into metrics, while `per_s` others come."""
    others = [msgspec.json.encode(body) for _, body in deliveries(int(1.3 * per_s * LOAD_S), world="half")]
    done = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        journey = pool.submit(_follow, "journey", urls, PERSON, done)
        metrics = pool.submit(_follow, "metrics", urls, KPI, done)
        try:
            _load(urls["ingest"], others, per_s)
        finally:
            done.set()
        return journey.result(), metrics.result()


def _load(url: str, touchpoints: Sequence[bytes], per_s: float) -> None:
    """A steady stream: every EVERY_S as many as are due by then."""
    sender, began, sent = Sender(url), time.perf_counter(), 0
    while (passed_s := time.perf_counter() - began) < LOAD_S:
        due = min(int(passed_s * per_s), len(touchpoints))
        for first in range(sent, due, SIZE):
            sender.send(KEY, touchpoints[first : min(first + SIZE, due)], lambda receipt: None)
        sent = due
        time.sleep(EVERY_S)
    sender.finish()


def _follow(room: str, urls: Mapping[str, str], path: str, done: threading.Event) -> list[float]:
    """Post single touchpoints, each of a new customer, and ask for `path` as soon as each is accepted."""
    ingest, asked, found = Service(urls["ingest"]), Service(urls[room]), list[float]()
    while not done.wait(EVERY_S):
        customer = f"{room}-{len(found)}"
        receipt = ingest.send(KEY, [_touchpoint(customer)])
        began = time.perf_counter()
        asked.get(path.format(customer=customer), after=receipt.token)
        found.append(1e3 * (time.perf_counter() - began))
    ingest.close()
    asked.close()
    return found


def _touchpoint(customer: str) -> bytes:
    body = {"type": "page_viewed", "id": customer, "occurred_at": "2026-10-31T12:00:00Z", "identities": {"customer_id": customer}}
    return msgspec.json.encode(body)
