"""Files as answers: strong ETags, compression once, addresses that name their content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_DIGEST_CHARS = 16


class Asset:
    """One file. Its digest and its compressed form are made when they are first asked for, and kept."""

    def __init__(self, body: bytes, kind: str) -> None:
        self.body, self._kind = body, kind

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:_DIGEST_CHARS]

    @cached_property
    def zipped(self) -> bytes:
        return gzip.compress(self.body, mtime=0)

    def answer(self, request: Request, cache: str, headers: Mapping[str, str] | None = None) -> Response:
        """The file, or 304 if the browser has it already. Each encoding has an ETag of its own."""
        zips = "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self.digest}-gzip"' if zips else f'"{self.digest}"'
        told = {
            "ETag": etag,
            "Cache-Control": cache,
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
            **(headers or {}),
        }
        if etag in [known.strip() for known in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=told)
        if zips:
            told["Content-Encoding"] = "gzip"
        return Response(self.zipped if zips else self.body, headers=told, media_type=self._kind)


@dataclass(frozen=True)
class Folder:
    """The page's own files, under one digest of all of them: what a module imports from beside it is of the same version."""

    assets: Mapping[str, Asset]
    html: str

    @classmethod
    def of(cls, folder: Path) -> Folder:
        found = [path for path in sorted(folder.iterdir()) if path.suffix in _KINDS]
        assets = {path.name: Asset(path.read_bytes(), _KINDS[path.suffix]) for path in found}
        return cls(assets, (folder / "index.html").read_text("utf-8"))

    @cached_property
    def digest(self) -> str:
        together = "".join(f"{name}:{asset.digest}\n" for name, asset in self.assets.items())
        return hashlib.sha256(together.encode()).hexdigest()[:_DIGEST_CHARS]

    def page(self, plotly_address: str) -> bytes:
        """The HTML, with the addresses of what it loads."""
        return self.html.replace("{assets}", f"/dashboard/{self.digest}").replace("{plotly}", plotly_address).encode()

    def find(self, digest: str, name: str) -> Asset | None:
        """A file by its address; none for an address of another version."""
        return self.assets.get(name) if digest == self.digest else None


@dataclass(frozen=True)
class Plotly:
    """The JavaScript that the plotly package brings along; read when a browser first asks for it."""

    path: Path
    version: str

    @property
    def digest(self) -> str:
        return f"plotly-{self.version}"

    @property
    def address(self) -> str:
        return f"/dashboard/{self.digest}/{self.path.name}"

    @cached_property
    def asset(self) -> Asset:
        return Asset(self.path.read_bytes(), _KINDS[".js"])

    def find(self, digest: str, name: str) -> Asset | None:
        return self.asset if (digest, name) == (self.digest, self.path.name) else None


def installed_plotly() -> Plotly:
    """Of the installed package, without importing it."""
    installed = distribution("plotly")
    return Plotly(Path(str(installed.locate_file("plotly/package_data/plotly.min.js"))), installed.version)
