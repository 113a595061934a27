"""The one figure that has to be 0: what the checks of the rooms in this process found wrong."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Gauge

_OF_REGISTRY: WeakKeyDictionary[CollectorRegistry, Gauge] = WeakKeyDictionary()


def check_mismatches(registry: CollectorRegistry) -> Gauge:
    """`waypost_check_mismatches{check="journey" | "metrics"}` of a registry, made by the room that asks first."""
    gauge = _OF_REGISTRY.get(registry)
    if gauge is None:
        gauge = Gauge("waypost_check_mismatches", "What the last check found wrong; must be 0", ["check"], registry=registry)
        _OF_REGISTRY[registry] = gauge
    return gauge
