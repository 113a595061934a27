"""The bare loop: `python -m benchmarks.bare_producer BOOTSTRAP TOPIC FILE` produces FILE's records and prints the CPU seconds of that.

FILE is msgpack of [[key, value], …]. The default partitioner chooses the partition. The first pass, which is not counted, makes
the connections.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec
from kafka import KafkaProducer


def main(bootstrap: str, topic: str, file: str) -> None:
    records = msgspec.msgpack.decode(Path(file).read_bytes(), type=list[tuple[bytes, bytes]])
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=2,
        batch_size=131_072,
        metrics_enabled=False,
    )
    spent_s = 0.0
    for _ in range(2):
        before_s = time.process_time()
        for key, value in records:
            producer.send(topic, value, key)
        producer.flush()
        spent_s = time.process_time() - before_s
    producer.close()
    print(spent_s)


if __name__ == "__main__":
    main(*sys.argv[1:])
