"""`waypost erase`: erases a person, and shows how far it is until it is done."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any
from urllib.parse import quote

import typer
from rich.console import Console

from services.cli.client import Service

LOOK_S = 0.5


def erase_person(url: str, token: str, identity: str, after: str, sure: bool, console: Console) -> bool:
    """Whether the person was erased; not, if nobody confirms it. `after`: tokens of what has to be stitched first, or nothing."""
    path = f"/v1/persons/{quote(identity, safe='')}"
    with closing(Service(url, token)) as service:
        person = service.get(path, after=after)
        what = f"{person['touchpoints']:,} touchpoints and {len(person['journeys']):,} journeys of {identity}"
        if not sure and not typer.confirm(f"Erase {what}? This can't be undone."):
            return False
        erasing = service.delete(path, after)
        console.print(f"Erasure {erasing['id']}, up to {erasing['at']}")
        with console.status("Erasing …") as status:
            found = service.get(f"/v1/erasures/{erasing['id']}", after=erasing["token"])
            while not found["done"]:
                status.update("Waiting for " + ", ".join(step for step, is_done in found["steps"].items() if not is_done))
                time.sleep(LOOK_S)
                found = service.get(f"/v1/erasures/{erasing['id']}")
    _show(found, console)
    return True


def _show(found: dict[str, Any], console: Console) -> None:
    for store, removed in found["removed"].items():
        console.print(f"{store}: " + (", ".join(f"{n:,} {what}" for what, n in removed.items()) or "nothing"), markup=False)
    for held in found["held"]:
        console.print(f"The topic {held['topic']} forgets by {held['until']}: {held['why']}", markup=False)
    for copy in found["copies"]:
        console.print(f"Not removed from this {copy['kind']}: {copy['place']} ({copy['why']})", markup=False)
    if found["mentioned"]["touchpoints"]:
        console.print(f"{found['mentioned']['touchpoints']:,} touchpoints of others name the person; they are kept")
