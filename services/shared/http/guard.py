"""Who may call what. Closed unless opened: whatever a room does not list as open or as a page is for callers who may.

| paths | Host header | token |
| --- | --- | --- |
| open (ingest, health, /metrics) | any | none (ingest checks its write keys) |
| pages (the dashboard, /docs) | checked | none |
| the rest, GET | checked | read or admin |
| the rest, other methods | checked, and JSON only | admin |

The Host check keeps a page on another site, which can point its own name at this machine, from reaching a laptop's service;
JSON only makes a browser ask before it posts from another origin.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared.config import Settings
from services.shared.errors import Misconfigured
from services.shared.http.problems import Problem, problem

READING = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY_BYTES = 1024 * 1024
"""Of a request to anything but an open path."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without a port, is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """The host of a Host header, in lower case and without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def hashed(secret: str) -> str:
    """How a token or key is kept: its SHA-256 in hex (they are long and random, so a slow hash would add nothing)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _knows(digests: Iterable[str], token: str) -> bool:
    """Compares with every digest, so that the time tells nothing."""
    mine = hashed(token)
    return sum(hmac.compare_digest(mine, digest) for digest in digests) > 0


@dataclass(frozen=True)
class Access:
    """Hashes of the tokens, and the host names that are answered to beside the loopback ones. Without any token all is open."""

    read: frozenset[str] = frozenset()
    admin: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """Raises Misconfigured for a server that others can reach without tokens."""
        read, admin = _listed(settings.read_tokens), _listed(settings.admin_tokens)
        if not is_loopback(settings.host) and not (read and admin):
            raise Misconfigured(f"listening on {settings.host} needs WAYPOST_READ_TOKENS and WAYPOST_ADMIN_TOKENS; set both")
        hosts = frozenset(host_name(name) for name in _listed(settings.allowed_hosts))
        return cls(frozenset(map(hashed, read)), frozenset(map(hashed, admin)), hosts)

    def check_host(self, header: str) -> None:
        """Raises Problem 403 for a name that is not this server's."""
        host = host_name(header)
        if not is_loopback(host) and host not in self.hosts:
            raise Problem(403, "host_not_allowed", "call this server by its own name; others are set by WAYPOST_ALLOWED_HOSTS")

    def check_token(self, authorization: str, reading: bool) -> None:
        """Raises Problem 401 without a known token, 403 if it may only read."""
        if not self.read and not self.admin:
            return
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Problem(401, "token_missing", "send Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"})
        is_admin, is_reader = _knows(self.admin, token), _knows(self.read, token)
        if not is_admin and not is_reader:
            raise Problem(401, "token_unknown", "this token is not known here", headers={"WWW-Authenticate": "Bearer"})
        if not reading and not is_admin:
            raise Problem(403, "token_may_only_read", "this needs an admin token")


def _check_json(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, "json_only", "send Content-Type: application/json")


class Paths:
    """A set of exact paths; one that ends in `/*` stands for everything below it."""

    def __init__(self, paths: Iterable[str]) -> None:
        listed = list(paths)
        self._exact = frozenset(path for path in listed if not path.endswith("/*"))
        self._below = tuple(path.removesuffix("*") for path in listed if path.endswith("/*"))

    def __contains__(self, path: str) -> bool:
        return path in self._exact or (bool(self._below) and path.startswith(self._below))


def limited(receive: Receive) -> Receive:
    """`receive`, ended with HTTPException 413 (which the framework passes on from anywhere) once the body is over its limit."""
    size = 0

    async def receive_part() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return receive_part


class Guard:
    """ASGI middleware that keeps the table above."""

    def __init__(self, app: ASGIApp, access: Access, open_paths: Iterable[str], pages: Iterable[str]) -> None:
        self._app = app
        self._access = access
        self._open = Paths(open_paths)
        self._pages = Paths(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._open:
            try:
                self._check(scope)
            except Problem as error:
                await problem(error)(scope, receive, send)
                return
            receive = limited(receive)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._access.check_host(headers.get("host", ""))
        reading = scope["method"] in READING
        if scope["path"] in self._pages and reading:
            return
        self._access.check_token(headers.get("authorization", ""), reading)
        if scope["method"] in ("POST", "PUT", "PATCH"):
            _check_json(headers)
