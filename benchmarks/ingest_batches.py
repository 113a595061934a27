"""Ingest in batches of 100: CPU per touchpoint of `waypost ingest` against a bare loop of kafka-python that produces the same bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, TopicPartition

from benchmarks.bench import KEY, Bench
from benchmarks.child import waypost
from benchmarks.row import Row, ratio, spread
from benchmarks.stores import PARTITIONS
from benchmarks.traffic import request, send
from benchmarks.workload import deliveries
from schemas.topics import TOUCHPOINTS
from services.shared.bus import TopicSpec
from services.shared.bus.kafka import KafkaBus

SIZE, IN_FLIGHT, BATCHES, ROUNDS = 100, 8, 100, 5
BARE = "bare"


def run(bench: Bench) -> list[Row]:
    """Pairs: one round through ingest, one of the bare loop, each in a process of its own."""
    touchpoints = [body for _, body in deliveries(SIZE * BATCHES + SIZE * BATCHES // 10)][: SIZE * BATCHES]
    requests = [request(msgspec.json.encode(touchpoints[n : n + SIZE]), KEY) for n in range(0, len(touchpoints), SIZE)]
    child = bench.start(waypost(["ingest"], bench.settings(on_kafka=True), bench.folder))
    send(child.port, requests, IN_FLIGHT)
    file = bench.folder / "published"
    file.write_bytes(msgspec.msgpack.encode(_published(bench.kafka.bootstrap)))
    bus = KafkaBus(bench.kafka.bootstrap)
    bus.create([TopicSpec(BARE, PARTITIONS)])
    bus.close()
    ours, bare = [], []
    for _ in range(ROUNDS):
        before_s = child.cpu_s()
        send(child.port, requests, IN_FLIGHT)
        ours.append((child.cpu_s() - before_s) / len(touchpoints))
        bare.append(_bare(bench.kafka.bootstrap, file) / len(touchpoints))
    child.stop()
    beside = {"ingest_us": 1e6 * sorted(ours)[ROUNDS // 2], "bare_us": 1e6 * sorted(bare)[ROUNDS // 2]} | spread(ours, bare)
    return [Row("ingest, batches of 100: CPU per touchpoint / bare kafka-python", ratio(ours, bare), "×", 1.5, beside)]


def _bare(bootstrap: str, file: Path) -> float:
    """CPU seconds of the bare loop over all records of the file."""
    command = [sys.executable, "-m", "benchmarks.bare_producer", bootstrap, BARE, str(file)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _published(bootstrap: str) -> list[tuple[bytes, bytes]]:
    """What ingest has put on the topic: keys and values."""
    partitions = [TopicPartition(TOUCHPOINTS, number) for number in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        left = sum(consumer.end_offsets(partitions).values())
        found: list[tuple[bytes, bytes]] = []
        while len(found) < left:
            found += [(record.key, record.value) for some in consumer.poll(1000).values() for record in some]
        return found
    finally:
        consumer.close()
