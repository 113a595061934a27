"""`waypost link`, `unlink` and `release`: decisions told to a running service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any
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
        """Says by what the two are still one, if they are."""
        answer = self._tell("/v1/identities/unlink", {"identities": identities}, console)
        if answer["parted"]:
            self._say("they are two people now", console)
        elif answer["parted"] is None:
            self._say("it is recorded, and not applied yet", console)
        for step in answer["path"] or ():
            self._say(f"still one: {step['from']} and {step['to']}, {_proof(step)}", console)

    def release(self, identity: str, console: Console) -> None:
        self._tell(f"/v1/persons/{quote(identity, safe=':')}/release", {}, console)

    def _say(self, text: str, console: Console) -> None:
        console.print(text, markup=False, soft_wrap=True, highlight=False)

    def _tell(self, path: str, body: dict[str, object], console: Console) -> Any:
        with closing(Service(self._url, self._token)) as service:
            answer = service.post(path, {**body, **self._who})
        command = answer["command"]
        names = " and ".join(command["identities"])
        self._say(f"{command['action']} {names}: command {command['id']}", console)
        return answer


def _proof(step: Mapping[str, Any]) -> str:
    if step["by"] == "link":
        return f"by link {step['command']['id']} of {step['command']['by']}"
    return "seen together in {source}/{id}".format(**step["touchpoint"]) if "touchpoint" in step else "seen together"
