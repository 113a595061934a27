"""The examples of docs/identity.md, sent to a running service: each answer holds what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from tests.parts.processes import Process

PAGE = (Path(__file__).parents[2] / "docs" / "identity.md").read_text()
SETTINGS = {"WAYPOST_SHARED_HANDLE_CUSTOMERS": "2"}
_BLOCK = re.compile(r"^```(http|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


class Example(NamedTuple):
    """A request of the page, and what it says of the answer, if it does."""

    method: str
    path: str
    body: Any
    answer: Any


def examples(section: str) -> Iterator[Example]:
    """Each `http` block, with the `json` block that follows it."""
    blocks = [(match[1], match[2]) for match in _BLOCK.finditer(section)]
    for index, (kind, text) in enumerate(blocks):
        if kind != "http":
            continue
        call, _, body = text.partition("\n")
        method, path = call.split(" ")
        following = blocks[index + 1] if index + 1 < len(blocks) else ("", "")
        answer = msgspec.json.decode(following[1]) if following[0] == "json" else None
        yield Example(method, path, msgspec.json.decode(body) if body.strip() else None, answer)


def sections() -> Mapping[str, str]:
    parts = _SECTION.split(PAGE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def shown(answer: Any, said: Any) -> Any:
    """As much of an answer as the page says something about: of objects the fields that it names, of lists everything."""
    if isinstance(said, dict) and isinstance(answer, dict):
        return {key: shown(answer.get(key), value) for key, value in said.items()}
    if isinstance(said, list) and isinstance(answer, list):
        return [shown(*pair) for pair in zip(answer, said, strict=False)] + answer[len(said) :]
    return answer


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    """`waypost up` as the page says it runs, and its first write key."""
    folder = tmp_path_factory.mktemp("identity")
    process = Process("up", ["up", "--data", str(folder / "data")], SETTINGS, folder)
    process.start()
    try:
        with httpx.Client(base_url=process.url, timeout=30) as client:
            yield client, (folder / "data" / "write-key").read_text().strip()
    finally:
        process.stop()


@pytest.mark.parametrize("name", sections())
def test_every_answer_is_as_the_page_says(service: tuple[httpx.Client, str], name: str) -> None:
    client, key = service
    found = list(examples(sections()[name]))
    assert any(example.answer is not None for example in found)
    received: list[str] = []
    for example in found:
        headers = {"X-Waypost-After": ",".join(received), "X-Write-Key": key}
        answer = client.request(example.method, example.path, json=example.body, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        told = answer.json()
        if example.method == "POST":
            received.append(told["token"])
            assert "results" not in told or told["accepted"] == len(example.body)
        if example.answer is not None:
            assert shown(told, example.answer) == example.answer, example.path


def test_the_page_says_how_it_is_run() -> None:
    assert all(f"`{name}={value}`" in PAGE for name, value in SETTINGS.items())
    assert len(re.findall("^```http", PAGE, re.MULTILINE)) == sum(len(list(examples(text))) for text in sections().values())
