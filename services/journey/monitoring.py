"""What Prometheus sees of journey."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.shared.lag import PerPartition
from services.shared.mismatches import CheckFigures

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Monitoring:
    """The journey room's own measures, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "waypost_journey_records", "Records of touchpoints and commands that were taken", registry=registry
        )
        self.rejected = Counter("waypost_journey_rejected", "Records that could not be processed", ["code"], registry=registry)
        self.refused = Counter(
            "waypost_journey_refused", "Touchpoints that were refused because whom they are of was erased", registry=registry
        )
        self.batch_seconds = Histogram(
            "waypost_journey_batch_seconds", "Time to apply one batch of records", registry=registry, buckets=_SECONDS
        )
        self.freshness_seconds = Histogram(
            "waypost_journey_freshness_seconds",
            "From a touchpoint's publication to its being stitched, for the oldest of each batch",
            registry=registry,
            buckets=_SECONDS,
        )
        self.published = Counter("waypost_relay_records", "Months of people that the relay published", registry=registry)
        self.oversized = Counter(
            "waypost_relay_oversized", "Months that are too large for the bus; they are left out", registry=registry
        )
        self.backlog = Gauge(
            "waypost_relay_backlog", "Months of people that are not published yet, as last counted", registry=registry
        )
        self._suspected_bots = Gauge(
            "waypost_journey_suspected_bots", "People who are set aside, and so not in the KPIs", ["reason"], registry=registry
        )
        self.check = CheckFigures(registry, "journey")
        self._registry = registry

    def watch_lag(self, lag: Callable[[], Mapping[int, int]]) -> None:
        """Ask for the lag of each partition whenever Prometheus scrapes."""
        self._registry.register(
            PerPartition(
                "waypost_journey_lag_records", "Records of a partition of touchpoints and of commands that are not taken yet", lag
            )
        )

    def watch_stopped(self, stopped: Callable[[], int]) -> None:
        """Ask how many partitions are stopped whenever Prometheus scrapes."""
        Gauge(
            "waypost_journey_stopped_partitions",
            "Partitions of touchpoints and commands that this process holds and cannot go on with; must be 0",
            registry=self._registry,
        ).set_function(stopped)

    def watch_set_aside(self, reason: str, count: Callable[[], float]) -> None:
        """Ask how many people are set aside for a reason whenever Prometheus scrapes."""
        self._suspected_bots.labels(reason).set_function(count)
