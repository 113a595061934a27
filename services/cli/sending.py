"""Many touchpoints over several connections at once; every receipt is counted, nothing is held back without limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from schemas import tokens
from services.cli.client import Receipt, Service
from services.shared.errors import WaypostError

MAX_ITEMS = 500
MAX_BYTES = 400 * 1024
"""Of one request: below the API's own limits."""


class Sender:
    """Sends requests on `connections` threads; `send` blocks while twice as many are under way.

    `done(request, receipt)` is called under a lock, in the order in which answers come. The first error of any request is
    raised by the next `send`, or by `finish`.
    """

    def __init__(self, url: str, connections: int = 4) -> None:
        self._url = url
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="send")
        self._free = threading.BoundedSemaphore(2 * connections)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._services: list[Service] = []
        self._reached: dict[tuple[str, int], int] = {}
        self._error: WaypostError | None = None

    def send(self, key: str, bodies: Sequence[bytes], done: Callable[[Receipt], None]) -> None:
        self._free.acquire()
        if self._error is not None:
            self._free.release()
            raise self._error
        self._pool.submit(self._send, key, bodies, done)

    def finish(self) -> str:
        """Wait for every answer; returns the token of all of them together."""
        self._pool.shutdown()
        self._close()
        if self._error is not None:
            raise self._error
        return tokens.encode((topic, partition, offset) for (topic, partition), offset in self._reached.items())

    def abandon(self) -> None:
        """Let what is under way come to its end, and send nothing more."""
        self._pool.shutdown(cancel_futures=True)
        self._close()

    def _send(self, key: str, bodies: Sequence[bytes], done: Callable[[Receipt], None]) -> None:
        try:
            receipt = self._service().send(key, bodies)
            with self._lock:
                for pair, offset in tokens.decode(receipt.token).items():
                    self._reached[pair] = max(offset, self._reached.get(pair, -1))
                done(receipt)
        except WaypostError as error:
            self._error = self._error or error
        finally:
            self._free.release()

    def _service(self) -> Service:
        if not hasattr(self._local, "service"):
            self._local.service = Service(self._url)
            self._services.append(self._local.service)
        service: Service = self._local.service
        return service

    def _close(self) -> None:
        for service in self._services:
            service.close()
