"""The real nginx with the configuration that docker-compose.yml mounts; only addresses, port and folder are this machine's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.parts.server import PartMissing, Server, free_port

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "proxy" / "nginx.conf"


class Proxy:
    """`addresses` says where the rooms are: {"ingest:8000": "127.0.0.1:41233", …}. Raises PartMissing if there is no nginx."""

    def __init__(self, addresses: Mapping[str, str], folder: Path) -> None:
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if nginx is None:
            raise PartMissing("the proxy needs nginx (Debian: nginx-light), and there is none")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        here = {
            "listen 8080;": f"listen 127.0.0.1:{self.port};",
            " /tmp/": f" {folder}/",
            "/dev/stderr warn;": "/dev/stderr notice;",  # so that it says when it is ready
            **addresses,
        }
        file = folder / "nginx.conf"
        file.write_text(_replaced(CONFIG.read_text(), here))
        as_root = ["-g", "user root;"] if os.geteuid() == 0 else []
        self._server = Server(
            [nginx, "-e", "/dev/stderr", "-c", str(file), *as_root], "start worker process ", folder / "proxy.log"
        )

    def start(self) -> None:
        self._server.start()

    def close(self) -> None:
        self._server.stop()


def _replaced(text: str, by: Mapping[str, str]) -> str:
    for old, new in by.items():
        assert old in text, f"the proxy's configuration has no {old!r}"
        text = text.replace(old, new)
    return text
