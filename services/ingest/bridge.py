"""From the publisher's thread to the event loop: one wake-up for all requests that one commit finished."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future

from services.shared.bus import Position

Published = Future[list[Position]]


class Bridge:
    """Lets coroutines of one event loop wait for futures that another thread resolves.

    `call_soon_threadsafe` writes to a socket and costs more than accepting a touchpoint, so only the first future of a
    flush calls it; the rest are picked up by the same wake-up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._finished: deque[tuple[asyncio.Future[list[Position]], Published]] = deque()
        self._is_woken = False

    def wait(self, published: Published) -> asyncio.Future[list[Position]]:
        """A future of this loop with the outcome of `published`. Call on the loop's thread."""
        waiter: asyncio.Future[list[Position]] = self.loop.create_future()
        published.add_done_callback(lambda done: self._finish(waiter, done))
        return waiter

    def _finish(self, waiter: asyncio.Future[list[Position]], done: Published) -> None:
        self._finished.append((waiter, done))
        if not self._is_woken and not self.loop.is_closed():
            self._is_woken = True
            self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._is_woken = False  # before the queue is emptied: what is appended from now on wakes the loop again
        while self._finished:
            waiter, done = self._finished.popleft()
            if waiter.cancelled():
                continue
            error = done.exception()
            if error is None:
                waiter.set_result(done.result())
            else:
                waiter.set_exception(error)
