"""Figures that are asked for when Prometheus scrapes, one for each partition that a process serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.shared.errors import Unavailable


class PerPartition(Collector):
    """A gauge with the label `partition`. While what it asks is away, it is missing rather than wrong."""

    def __init__(self, name: str, documentation: str, read: Callable[[], Mapping[int, int]]) -> None:
        self._name, self._documentation, self._read = name, documentation, read

    def describe(self) -> Iterable[Metric]:
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        try:
            for partition, value in sorted(self._read().items()):
                family.add_metric([str(partition)], value)
        except Unavailable:
            return []
        return [family]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._documentation, labels=["partition"])
