"""The published schemas: JSON Schema documents beside this file, generated from the types by `python -m schemas.generate`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent / "json"
ASYNCAPI = Path(__file__).parent / "asyncapi.json"
NAMES = ("touchpoint", "accepted", "person-month", "watermark", "rejected", "command", "done", "asyncapi")
VERSION = "1"


def published(name: str, version: str) -> Path | None:
    """The file of a document, None if there is none of this name and version."""
    if name not in NAMES or version != VERSION:
        return None
    return ASYNCAPI if name == "asyncapi" else FOLDER / f"{name}.schema.json"


@cache
def schema(name: str) -> dict[str, Any]:
    """A JSON Schema document (draft 2020-12)."""
    read: dict[str, Any] = msgspec.json.decode((FOLDER / f"{name}.schema.json").read_bytes())
    return read


def inlined(name: str) -> dict[str, Any]:
    """The same schema without `$defs`, every reference replaced by what it means, for use inside other documents."""
    whole = schema(name)
    shown = {key: value for key, value in whole.items() if key not in ("$defs", "$schema", "$id")}
    resolved: dict[str, Any] = _resolve(shown, whole.get("$defs", {}))
    return resolved


def _resolve(part: Any, known: Mapping[str, Any]) -> Any:
    match part:
        case {"$ref": str(reference)}:
            return _resolve(known[reference.rpartition("/")[2]], known)
        case dict():
            return {key: _resolve(value, known) for key, value in part.items()}
        case list():
            return [_resolve(value, known) for value in part]
    return part
