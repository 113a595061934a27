"""Writes the published documents from the types: `python -m schemas.generate`. A test compares them with the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from schemas import topics
from schemas.commands import Command, Done
from schemas.documents import ASYNCAPI, FOLDER, VERSION
from schemas.facts import PersonMonth, Watermark
from schemas.rejected import RejectedRecord
from schemas.touchpoint import Accepted, Touchpoint

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _accepted() -> type[msgspec.Struct]:
    """`Accepted` as JSON has it: `properties` are an object, raw only in memory."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(Accepted):
        if field.name == "properties":
            fields.append((field.name, dict[str, Any], msgspec.field(default_factory=dict)))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, msgspec.field(default_factory=field.default_factory)))
        elif field.default is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, field.default))
        else:
            fields.append((field.name, field.type))
    made: type[msgspec.Struct] = msgspec.defstruct(
        "Accepted", fields, namespace={"__doc__": Accepted.__doc__}, kw_only=True, forbid_unknown_fields=True
    )
    return made


def _types() -> dict[str, Any]:
    return {
        "touchpoint": Touchpoint,
        "accepted": _accepted(),
        "person-month": PersonMonth,
        "watermark": Watermark,
        "rejected": RejectedRecord,
        "command": Command,
        "done": Done,
    }


def document(name: str, kind: Any) -> dict[str, Any]:
    """One JSON Schema document; what it refers to is in its `$defs`."""
    (schema,), known = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    reference = schema.get("$ref", "").rpartition("/")[2]
    body = known.pop(reference) if reference else schema
    head = {"$schema": _DRAFT, "$id": f"urn:waypost:schema:{name}:{VERSION}"}
    return {**head, **body, "$defs": dict(sorted(known.items()))} if known else {**head, **body}


def asyncapi() -> dict[str, Any]:
    """The topics as an AsyncAPI 3 document."""
    carried: dict[str, tuple[tuple[str, ...], str]] = {
        topics.TOUCHPOINTS: (("accepted",), "touchpoints as ingest accepted them; the key is the anchor, namespace:value"),
        topics.REJECTED: (("rejected",), "what could not be processed, as it came, and why; the key is the source"),
        topics.COMMANDS: (("command",), "recorded decisions about identities and people; the key is an identity concerned"),
        topics.DONE: (("done",), "what a room has done for a command; the key is the command's id"),
        topics.JOURNEYS: (
            ("person-month", "watermark"),
            "compacted; the facts of one person in one month, key person_id/YYYY-MM, or a watermark, key watermark",
        ),
    }
    messages = [name for names, _ in carried.values() for name in names]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Waypost's topics",
            "version": VERSION,
            "description": "Every value is JSON. A record's partition is the CRC-32 of its key modulo the partitions of its topic.",
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "description": text,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
            }
            for topic, (names, text) in carried.items()
        },
        "operations": _operations(),
        "components": {"messages": {name: {"name": name, "payload": {"$ref": f"json/{name}.schema.json"}} for name in messages}},
    }


def _operations() -> dict[str, Any]:
    """Which room sends and receives what."""
    table = (
        ("ingest", "send", topics.TOUCHPOINTS),
        ("ingest", "send", topics.REJECTED),
        ("ingest", "receive", topics.REJECTED),
        ("ingest", "receive", topics.COMMANDS),
        ("ingest", "send", topics.COMMANDS),
        ("ingest", "send", topics.DONE),
        ("journey", "receive", topics.TOUCHPOINTS),
        ("journey", "receive", topics.COMMANDS),
        ("journey", "send", topics.COMMANDS),
        ("journey", "send", topics.REJECTED),
        ("journey", "send", topics.JOURNEYS),
        ("metrics", "receive", topics.JOURNEYS),
        ("metrics", "send", topics.REJECTED),
    )
    return {
        f"{room}_{action}s_{topic.replace('.', '_')}": {"action": action, "channel": {"$ref": f"#/channels/{topic}"}}
        for room, action, topic in table
    }


def documents() -> Mapping[Path, str]:
    """Every published file and its text."""
    made = {FOLDER / f"{name}.schema.json": document(name, kind) for name, kind in _types().items()}
    return {
        path: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for path, content in {**made, ASYNCAPI: asyncapi()}.items()
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
