"""From kafka-python's future per record to our future per call of `publish`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from services.shared.bus import Position
from services.shared.bus.kafka.driver import PUBLISH_TIMEOUT_S, unavailable
from services.shared.errors import Unavailable, WaypostError

MAX_WAITING_BYTES = 64 * 1024 * 1024


class Call:
    """One call of `publish`: its future, and kafka-python's futures of its records once they are sent."""

    __slots__ = ("_done", "_unseen", "acks", "deadline", "future", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.future: Future[list[Position]] = Future()
        self.future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        self.deadline = time.monotonic() + PUBLISH_TIMEOUT_S
        self.acks: Sequence[Any] = ()
        self._unseen = 0

    def follow(self, acks: Sequence[Any], done: Callable[[Call], None]) -> None:
        """Call `done` once every record is acknowledged or failed.

        A callback per record would cost as much again as handing it over, so only the last one gets one: when it fires,
        nearly all others are done too, and the last that is not gets the next callback.
        """
        self.acks, self._unseen, self._done = acks, len(acks), done
        self._look()

    def outcome(self) -> list[Position] | WaypostError:
        """The positions of all records in the order given, or why there are none."""
        acks = self.acks
        for ack in acks:
            if ack.exception is not None:
                return unavailable(ack.exception)
        return [Position(ack.value[1], ack.value[3]) for ack in acks]

    def _look(self, _: object = None) -> None:
        acks, unseen = self.acks, self._unseen
        while unseen and acks[unseen - 1].is_done:
            unseen -= 1
        self._unseen = unseen
        if unseen:
            acks[unseen - 1].add_both(self._look)
        else:
            self._done(self)


class Waiting:
    """The calls that are not finished. Each is finished once, by whoever takes it out first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, Call] = {}
        self._bytes = 0

    def add(self, call: Call) -> None:
        """Keep a call; fail it if too much is waiting already."""
        with self._lock:
            full = bool(self._calls) and self._bytes + call.size > MAX_WAITING_BYTES
            self._calls[id(call)] = call
            self._bytes += call.size
        if full:
            self.finish(call, Unavailable("kafka: too much is waiting for an acknowledgement"))

    def finish(self, call: Call, outcome: list[Position] | WaypostError) -> None:
        """Give a call its outcome, unless it has one."""
        with self._lock:
            if self._calls.pop(id(call), None) is None:
                return
            self._bytes -= call.size
        if isinstance(outcome, WaypostError):
            call.future.set_exception(outcome)
        else:
            call.future.set_result(outcome)

    def overdue(self) -> bool:
        """Whether the oldest call has waited too long."""
        with self._lock:
            oldest = next(iter(self._calls.values()), None)
        return oldest is not None and time.monotonic() > oldest.deadline

    def fail_all(self, error: WaypostError) -> None:
        """Give every call that waits now this outcome."""
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            self.finish(call, error)

    def futures(self) -> list[Future[list[Position]]]:
        """The futures of the calls that wait now."""
        with self._lock:
            return [call.future for call in self._calls.values()]
