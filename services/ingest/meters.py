"""What ingest counts for Prometheus."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.ingest.domain.accept import Batch
from services.shared.lag import PerPartition

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Meters:
    """Touchpoints by source and result, refusals by code, and the time from a request's arrival until the bus holds it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._touchpoints = Counter(
            "waypost_ingest_touchpoints", "touchpoints by source and result", ["source", "result"], registry=registry
        )
        self._rejected = Counter(
            "waypost_ingest_rejected", "refused touchpoints and records by code", ["code"], registry=registry
        )
        self._requests = Counter(
            "waypost_ingest_refused_requests", "requests refused as a whole, by code", ["code"], registry=registry
        )
        self._seconds = Histogram(
            "waypost_ingest_publish_seconds",
            "from a request's arrival until the bus holds it",
            buckets=_SECONDS,
            registry=registry,
        )
        self._replays = Counter("waypost_ingest_replays", "replayed records by result", ["result"], registry=registry)
        self._registry = registry
        self._of = lru_cache(maxsize=1024)(self._touchpoints.labels)

    def batch(self, source: str, batch: Batch) -> None:
        """Count a request whose results are final."""
        for status, count in Tally(result.status for result in batch.results).items():
            self._of(source, status).inc(count)
        for result in batch.results if batch.rejected else ():
            if result.status == "rejected":
                self._rejected.labels(result.code).inc()

    def published(self, seconds: float) -> None:
        self._seconds.observe(seconds)

    def refused(self, code: str) -> None:
        self._requests.labels(code).inc()

    def rejected_record(self, code: str) -> None:
        """Count a record of the bus that ingest itself could not process."""
        self._rejected.labels(code).inc()

    def replayed(self, replayed: int, rejected: int) -> None:
        self._replays.labels("replayed").inc(replayed)
        self._replays.labels("rejected").inc(rejected)

    def watch(self, lag: Callable[[], Mapping[int, int]], stopped: Callable[[], int]) -> None:
        """Ask for the lag of each partition, and for how many are stopped, whenever Prometheus scrapes."""
        self._registry.register(
            PerPartition("waypost_ingest_lag_records", "Rejected records of a partition that are not stored yet", lag)
        )
        Gauge(
            "waypost_ingest_stopped_partitions",
            "Partitions that this process holds and cannot go on with; must be 0",
            registry=self._registry,
        ).set_function(stopped)
