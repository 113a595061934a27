"""A TCP gate in front of a server of 127.0.0.1: while it is shut, connections are refused and those that there were are cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.parts.server import free_port


class Gate:
    """Open from the start. Whoever connects to `port` reaches `target` as long as it is open."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._listening: socket.socket | None = None
        self._cut: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.open()

    def open(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(64)
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def shut(self) -> None:
        """Refuse from now on, and cut what goes through."""
        listening, self._listening = self._listening, None
        if listening is not None:
            _end(listening)
        with self._lock:
            cut, self._cut = self._cut, set()
        for each in cut:
            _end(each)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    _end(client)
                    continue
                with self._lock:
                    self._cut |= {client, server}
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with self._lock:
            self._cut -= {one, other}
        _end(one)
        _end(other)


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
