"""Reading docker-compose.yml as an engine would: anchors merged, variables filled in, services in the order in which they start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<word>[^}]*))?\}")


class Missing(Exception):
    """A variable that the file insists on is not set; the text is the file's own message."""


def load(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with `${NAME:-default}` and `${NAME:?message}` filled in. Raises Missing."""
    filled: dict[str, Any] = _fill(raw(), variables)
    return filled


def raw() -> dict[str, Any]:
    """The file as YAML alone reads it."""
    parsed: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return parsed


def variables() -> dict[str, str]:
    """Every variable of the file, with `:-default`, `:?message`, or nothing at all."""
    return {match["name"]: (match["how"] or "") + (match["word"] or "") for match in _VARIABLE.finditer(FILE.read_text())}


def start_order(file: Mapping[str, Any]) -> list[str]:
    """The services, each after those that it depends on."""
    return list(
        TopologicalSorter({name: service.get("depends_on", {}) for name, service in file["services"].items()}).static_order()
    )


def kafka_properties(environment: Mapping[str, str]) -> str:
    """The server.properties that the apache/kafka image makes of its environment: KAFKA_NODE_ID becomes node.id."""
    settings = {name: value for name, value in environment.items() if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"}
    return "\n".join(f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}" for name, value in settings.items())


def _fill(part: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _fill(value, variables) for key, value in part.items()}
    if isinstance(part, list):
        return [_fill(value, variables) for value in part]
    return _VARIABLE.sub(lambda match: _value(match, variables), part) if isinstance(part, str) else part


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    given = variables.get(match["name"], "")
    if not given and match["how"] == ":?":
        raise Missing(f"{match['name']}: {match['word']}")
    return given or (match["word"] or "")
