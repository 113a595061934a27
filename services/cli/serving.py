"""One process's HTTP server: takes its port before anything else, says when it is ready, ends cleanly on Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from services.shared import collector
from services.shared.errors import Misconfigured

BACKLOG = 2048
FINISH_S = 30
"""How long requests under way may take when the server is asked to stop."""


def listen(host: str, port: int) -> socket.socket:
    """Take the port (0: a free one). Raises Misconfigured if somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise Misconfigured(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port, 0 takes a free one"
        ) from None
    taken.set_inheritable(True)
    return taken


def address(taken: socket.socket) -> str:
    """The URL that reaches this socket."""
    host, port = taken.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, taken: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, then finish the requests under way. `ready` is called once requests are answered."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=FINISH_S, backlog=BACKLOG
    )
    collector.calm()
    _Server(config, ready).run(sockets=[taken])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Being asked to stop is no failure: unlike the original, the signal is not raised again afterwards."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
