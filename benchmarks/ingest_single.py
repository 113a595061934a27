"""Ingest, one touchpoint a request, 32 in flight: CPU per request of `waypost ingest` on Kafka against a route that does nothing."""

from __future__ import annotations

from statistics import median

import msgspec

from benchmarks.bench import KEY, Bench
from benchmarks.child import Child, module, waypost
from benchmarks.row import Row, ratio, spread
from benchmarks.traffic import request, send
from benchmarks.workload import deliveries

IN_FLIGHT, REQUESTS, ROUNDS = 32, 4000, 5


def run(bench: Bench) -> list[Row]:
    """Pairs: the same requests by the same client, to one and to the other."""
    requests = [request(msgspec.json.encode(body), KEY) for _, body in deliveries(REQUESTS)]
    ingest = bench.start(waypost(["ingest"], bench.settings(on_kafka=True), bench.folder))
    nothing = bench.start(module("bare_route", {}, bench.folder))
    for child in (ingest, nothing):
        _cpu_s(child, requests)
    pairs = [(_cpu_s(ingest, requests), _cpu_s(nothing, requests)) for _ in range(ROUNDS)]
    ingest.stop()
    nothing.stop()
    ours, bare = ([spent / len(requests) for spent in side] for side in zip(*pairs, strict=True))
    beside = {"ingest_us": 1e6 * median(ours), "bare_us": 1e6 * median(bare)} | spread(ours, bare)
    return [
        Row("ingest, one a request, 32 in flight: CPU per request / a route that does nothing", ratio(ours, bare), "×", 2, beside)
    ]


def _cpu_s(child: Child, requests: list[bytes]) -> float:
    before_s = child.cpu_s()
    send(child.port, requests, IN_FLIGHT)
    return child.cpu_s() - before_s
