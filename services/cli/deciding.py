"""`waypost link`, `unlink` and `release`: decisions told to a running service."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from urllib.parse import quote

from rich.console import Console

from services.cli.client import Service


class Decider:
    """Tells the service at `url` what `by` decides, and why. `token` is an admin token where the service wants one."""

    def __init__(self, url: str, token: str, by: str, reason: str) -> None:
        self._url, self._token = url, token
        self._who = {"by": by, "reason": reason}

    def link(self, identities: Sequence[str], console: Console) -> None:
        self._tell("/v1/identities/link", {"identities": identities}, console)

    def unlink(self, identities: Sequence[str], console: Console) -> None:
        self._tell("/v1/identities/unlink", {"identities": identities}, console)

    def release(self, identity: str, console: Console) -> None:
        self._tell(f"/v1/persons/{quote(identity, safe=':')}/release", {}, console)

    def _tell(self, path: str, body: dict[str, object], console: Console) -> None:
        with closing(Service(self._url, self._token)) as service:
            answer = service.post(path, {**body, **self._who})
        command = answer["command"]
        names = " and ".join(command["identities"])
        console.print(f"{command['action']} {names}: command {command['id']}", markup=False, soft_wrap=True, highlight=False)
