"""The one figure that has to be 0: what the checks of the rooms in this process found wrong."""

from __future__ import annotations

import threading
from typing import NamedTuple
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.shared.checked import Checked


class _Figures(NamedTuple):
    mismatches: Gauge
    things: Counter
    last: Gauge


_OF_REGISTRY: WeakKeyDictionary[CollectorRegistry, _Figures] = WeakKeyDictionary()


class CheckFigures:
    """`waypost_check_mismatches{check="journey" | "metrics"}`, `waypost_check_things_total` and `waypost_check_last_seconds` of a registry.
    Thread-safe."""

    def __init__(self, registry: CollectorRegistry, room: str) -> None:
        if registry not in _OF_REGISTRY:
            what = "What the last complete check, or any sample since, found wrong; must be 0"
            _OF_REGISTRY[registry] = _Figures(
                Gauge("waypost_check_mismatches", what, ["check"], registry=registry),
                Counter(
                    "waypost_check_things",
                    "People, rows and records that checks and samples looked at",
                    ["check"],
                    registry=registry,
                ),
                Gauge(
                    "waypost_check_last_seconds",
                    "When a check or a sample last came to its end, in seconds since 1970; 0: not yet",
                    ["check"],
                    registry=registry,
                ),
            )
        figures = _OF_REGISTRY[registry]
        self._mismatches, self._things = figures.mismatches.labels(room), figures.things.labels(room)
        self._last = figures.last.labels(room)
        self._lock, self._most = threading.Lock(), 0

    def complete(self, checked: Checked) -> None:
        """A check of everything: what it says counts."""
        self._set(checked, checked.mismatches)

    def sampled(self, checked: Checked) -> None:
        """A sample: what it found stands until a complete check says otherwise."""
        with self._lock:
            most = max(self._most, checked.mismatches)
        self._set(checked, most)

    def _set(self, checked: Checked, mismatches: int) -> None:
        with self._lock:
            self._most = mismatches
            self._mismatches.set(mismatches)
        self._things.inc(checked.checked)
        self._last.set_to_current_time()
