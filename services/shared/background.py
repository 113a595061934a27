"""A check that goes on in the background: a small sample every so often, on a thread of its own, with a bounded share of one CPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from services.shared.checked import Checked
from services.shared.errors import WaypostError
from services.shared.log import Log

SHARE = 0.01
"""Of one CPU at most: after a sample it rests for so long that this is kept."""


class Sampling:
    """Calls `sample` every `every_s` seconds or more rarely, from `start` to `stop`; 0 never. `found` is told what came of it."""

    def __init__(self, sample: Callable[[], Checked], found: Callable[[Checked], None], every_s: float, log: Log) -> None:
        self._sample, self._found, self._every_s, self._log = sample, found, every_s, log
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="check", daemon=True)

    def start(self) -> None:
        if self._every_s > 0:
            self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        rest_s = self._every_s
        while not self._stopping.wait(rest_s):
            began_s = time.thread_time()
            try:
                self._once()
            except Exception as error:  # noqa: BLE001 - whatever it is, the check must not end silently: it says so and comes again
                self._log.warning("check_passed_over", reason=str(error) if isinstance(error, WaypostError) else repr(error))
            rest_s = max(self._every_s, (time.thread_time() - began_s) / SHARE)

    def _once(self) -> None:
        checked = self._sample()
        self._found(checked)
        if checked.mismatches:
            self._log.error("check_mismatches", found=checked.mismatches, of=checked.checked)
