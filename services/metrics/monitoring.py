"""What Prometheus sees of metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.shared.lag import PerPartition
from services.shared.mismatches import CheckFigures

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Monitoring:
    """The metrics room's own measures, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("waypost_metrics_records", "Records of journeys that were taken", registry=registry)
        self.rejected = Counter("waypost_metrics_rejected", "Records that could not be processed", ["code"], registry=registry)
        self.batch_seconds = Histogram(
            "waypost_metrics_batch_seconds", "Time to apply one batch of records", registry=registry, buckets=_SECONDS
        )
        self.freshness_seconds = Histogram(
            "waypost_metrics_freshness_seconds",
            "From a record's publication on journeys to its being counted, for the oldest record of each batch",
            registry=registry,
            buckets=_SECONDS,
        )
        self.question_seconds = Histogram(
            "waypost_metrics_question_seconds", "Time to answer a question", ["question"], registry=registry, buckets=_SECONDS
        )
        self.check = CheckFigures(registry, "metrics")
        self._registry = registry

    def watch_lag(self, lag: Callable[[], Mapping[int, int]]) -> None:
        """Ask for the lag of each partition whenever Prometheus scrapes."""
        self._registry.register(
            PerPartition("waypost_metrics_lag_records", "Records of a partition of journeys that are not counted yet", lag)
        )

    def watch_stopped(self, stopped: Callable[[], int]) -> None:
        """Ask how many partitions are stopped whenever Prometheus scrapes."""
        Gauge(
            "waypost_metrics_stopped_partitions",
            "Partitions of journeys that this process holds and cannot go on with; must be 0",
            registry=self._registry,
        ).set_function(stopped)
