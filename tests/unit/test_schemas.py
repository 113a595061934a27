"""The contract's documents and examples: what they say is what ingest does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from schemas import documents, generate, topics
from schemas.normal import Identities
from schemas.touchpoint import Accepted, Touchpoint
from services.ingest.domain.accept import Arrival, Batch, accept

EXAMPLES = Path(documents.__file__).parent / "examples"
VALID = sorted((EXAMPLES / "valid").glob("*.json"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.json"))
NOT_IN_JSON_SCHEMA = {
    "no_identity",
    "invalid_time",
    "stands_for_nothing",
    "identity_too_long",
    "reserved_namespace",
    "invalid_previous_id",
    "touchpoint_too_large",
    "too_deep",
}
"""Codes of mistakes that a JSON Schema can't see."""


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _accept(raw: bytes) -> Batch:
    return accept([raw], Arrival("shop", "shop", 0, lambda index: f"made-{index}"), Identities())


def test_the_published_documents_are_those_of_the_types() -> None:
    written = {path: path.read_text(encoding="utf-8") for path in generate.documents()}
    assert written == generate.documents(), "run python -m schemas.generate"


def test_every_name_is_published_and_a_valid_schema() -> None:
    for name in documents.NAMES:
        file = documents.published(name, "1")
        assert file is not None
        if name != "asyncapi":
            jsonschema.Draft202012Validator.check_schema(_read(file))
    assert documents.published("touchpoint", "2") is None
    assert documents.published("../touchpoint", "1") is None


def test_asyncapi_names_every_topic_and_refers_to_files_that_are_there() -> None:
    document = generate.asyncapi()
    known = {topics.TOUCHPOINTS, topics.REJECTED, topics.COMMANDS, topics.DONE, topics.JOURNEYS}
    assert set(document["channels"]) == known
    for message in document["components"]["messages"].values():
        assert (documents.ASYNCAPI.parent / message["payload"]["$ref"]).is_file()
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]


def test_there_are_examples_of_every_facet_and_of_many_mistakes() -> None:
    used = {name for path in VALID for name in _read(path)}
    assert used == {field.encode_name for field in msgspec.structs.fields(Touchpoint)}
    assert len(VALID) >= 25
    assert len(INVALID) >= 40


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_is_accepted_and_fits_the_documents(path: Path) -> None:
    example = _read(path)
    jsonschema.validate(example, documents.schema("touchpoint"))
    batch = _accept(path.read_bytes())
    assert batch.rejected == []
    value = batch.touchpoints[0].value
    jsonschema.validate(json.loads(value), documents.schema("accepted"))
    sent = msgspec.json.decode(path.read_bytes(), type=Touchpoint)
    stored = msgspec.json.decode(value, type=Accepted)
    for field in msgspec.structs.fields(Touchpoint):
        if field.name not in ("id", "identities", "properties"):
            assert getattr(stored, field.name) == getattr(sent, field.name)
    assert json.loads(bytes(stored.properties)) == example.get("properties", {})


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_mistake_gets_its_code_its_pointer_and_a_sentence(path: Path) -> None:
    example = _read(path)
    sent = example["input"]
    raw = sent.encode() if isinstance(sent, str) else json.dumps(sent).encode()
    (result,) = _accept(raw).results
    assert (result.code, result.pointer) == (example["code"], example["pointer"])
    assert result.message is not None
    assert len(result.message) > 15
    if not isinstance(sent, str) and example["code"] not in NOT_IN_JSON_SCHEMA:
        schema_agrees = not jsonschema.Draft202012Validator(documents.schema("touchpoint")).is_valid(sent)
        assert schema_agrees or example["code"] == "out_of_range"
