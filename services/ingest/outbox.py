"""From many requests to few publishes, and back from the publisher's thread with few wake-ups of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import chain
from typing import NamedTuple

from services.shared.bus import Outgoing, Position, Publisher
from services.shared.errors import WaypostError


class Waiting(NamedTuple):
    """One request's records, and who waits for them."""

    records: Sequence[Outgoing]
    waiter: asyncio.Future[list[Position]]


class Outbox:
    """Publishes what the requests of one event loop have, in order, many at a time.

    A call of `publish` and a wake-up (`call_soon_threadsafe` writes to a socket) each cost more than accepting a touchpoint.
    So the requests that one turn of the loop has read leave together, and of the futures that one commit resolves only the
    first wakes the loop. Nothing waits for time to pass, nor for an earlier publish: a slow partition holds up nobody else.
    (Gathering for 1 to 4 ms was measured as well; it saves nothing more.)
    """

    def __init__(self, publisher: Publisher, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._publisher = publisher
        self._gathered: list[Waiting] = []
        self._finished: deque[tuple[list[Waiting], Future[list[Position]]]] = deque()
        self._is_woken = False

    def send(self, records: Sequence[Outgoing]) -> asyncio.Future[list[Position]]:
        """Resolves with one position per record when the bus holds them all; fails as `Publisher.publish` does."""
        waiter: asyncio.Future[list[Position]] = self.loop.create_future()
        self._gathered.append(Waiting(records, waiter))
        if len(self._gathered) == 1:
            self.loop.call_soon(self._publish)
        return waiter

    def _publish(self) -> None:
        gathered, self._gathered = self._gathered, []
        try:
            published = self._publisher.publish(list(chain.from_iterable(records for records, _ in gathered)))
        except WaypostError as error:
            for _, waiter in gathered:
                _fail(waiter, error)
        else:
            published.add_done_callback(lambda done: self._finish(gathered, done))

    def _finish(self, gathered: list[Waiting], done: Future[list[Position]]) -> None:
        """On the publisher's thread."""
        self._finished.append((gathered, done))
        if not self._is_woken and not self.loop.is_closed():
            self._is_woken = True
            self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._is_woken = False  # before the queue is emptied: what is appended from now on wakes the loop again
        while self._finished:
            gathered, done = self._finished.popleft()
            error = done.exception()
            if error is not None:
                for _, waiter in gathered:
                    _fail(waiter, error)
                continue
            positions, start = done.result(), 0
            for records, waiter in gathered:
                end = start + len(records)
                if not waiter.done():
                    waiter.set_result(positions[start:end])
                start = end


def _fail(waiter: asyncio.Future[list[Position]], error: BaseException) -> None:
    if not waiter.done():
        waiter.set_exception(error)
