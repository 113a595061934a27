"""Decisions about people from the command line, and aliases of trusted sources, on a running service."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from schemas import tokens
from tests.parts.processes import WAYPOST, Process, clean_environment

KEY = "c" + "0" * 24
CRM = "c" + "1" * 24


class Installation:
    """A running `waypost up`, with an admin's token, and a command line that talks to it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def post(self, key: str, *touchpoints: dict[str, Any]) -> str:
        with closing(self._process.service()) as service:
            receipt = service.send(key, [json.dumps(one).encode() for one in touchpoints])
        assert receipt.accepted == len(touchpoints)
        return receipt.token

    def person(self, identity: str, after: str) -> dict[str, Any]:
        with closing(self._process.service(token="reads")) as service:
            answer: dict[str, Any] = service.get(f"/v1/persons/{identity}", None, after)
        return answer

    def run(self, *command: str, token: str = "decides") -> subprocess.CompletedProcess[str]:
        called = [WAYPOST, *command, "--url", self._process.url, "--token", token]
        return subprocess.run(called, capture_output=True, text=True, timeout=60, env=clean_environment())


@pytest.fixture(scope="module")
def waypost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("people")
    keys = f"web={KEY},crm:trusted={CRM}"
    settings = {"WAYPOST_WRITE_KEYS": keys, "WAYPOST_READ_TOKENS": "reads", "WAYPOST_ADMIN_TOKENS": "decides"}
    process = Process("up", ["up", "--data", str(folder / "data")], settings, folder)
    process.start()
    try:
        yield Installation(process)
    finally:
        process.stop()


def test_a_link_is_told_and_taken_back_from_the_command_line(waypost: Installation, tmp_path: Path) -> None:
    after = waypost.post(
        KEY,
        {"type": "page_viewed", "identities": {"customer_id": "a1", "email": "a@one.example"}},
        {"type": "page_viewed", "identities": {"customer_id": "a2"}},
    )
    pair = ("customer_id:a1", "customer_id:a2")
    assert waypost.person("customer_id:a2", after)["touchpoints"] == 1
    refused = waypost.run("link", *pair, "--reason", "called", token="reads")
    assert (refused.returncode, "token_may_only_read" in refused.stderr) == (1, True)
    linked = waypost.run("link", *pair, "--reason", "called", "--by", "eve")
    assert (linked.returncode, linked.stderr) == (0, "")
    assert "customer_id:a1 and customer_id:a2" in linked.stdout
    out = tmp_path / "a.json"
    parted = waypost.run("unlink", *pair, "--reason", "lied", "--by", "eve")
    assert (parted.returncode, parted.stdout.splitlines()[1]) == (0, "they are two people now")
    assert waypost.run("export", "customer_id:a1", "--out", str(out)).returncode == 0
    document = json.loads(out.read_bytes())
    assert [(row["action"], row["by"], row["reason"]) for row in document["commands"]] == [
        ("link", "eve", "called"),
        ("unlink", "eve", "lied"),
    ]
    assert len(document["touchpoints"]) == 1
    assert out.stat().st_mode & 0o777 == 0o600
    assert json.loads(waypost.run("export", "email:a@one.example").stdout)["person_id"] == document["person_id"]
    unknown = waypost.run("export", "customer_id:nobody")
    assert (unknown.returncode, "unknown_person" in unknown.stderr) == (1, True)


def test_a_person_is_erased_from_the_command_line_right_after_they_were_sent(waypost: Installation) -> None:
    after = waypost.post(KEY, {"type": "page_viewed", "identities": {"customer_id": "gone"}})
    erased = waypost.run("erase", "customer_id:gone", "--after", after, "--yes")
    assert (erased.returncode, erased.stderr) == (0, "")
    assert "1 touchpoints" in erased.stdout
    again = waypost.run("erase", "customer_id:gone", "--yes")
    assert (again.returncode, "unknown_person" in again.stderr) == (1, True)


def test_what_still_joins_two_is_printed(waypost: Installation) -> None:
    after = waypost.post(KEY, {"id": "seen", "type": "page_viewed", "identities": {"customer_id": "b", "email": "b@one.example"}})
    assert waypost.person("customer_id:b", after)["touchpoints"] == 1
    assert waypost.run("link", "customer_id:b", "phone:+491711234567", "--reason", "x").returncode == 0
    assert waypost.run("link", "email:b@one.example", "phone:+491711234567", "--reason", "x").returncode == 0
    told = waypost.run("unlink", "customer_id:b", "phone:+491711234567", "--reason", "x").stdout.splitlines()
    assert told[1].startswith("still one: customer_id:b and email:b@one.example, ")
    assert told[1].endswith("seen together in web/seen")
    assert told[2].startswith("still one: email:b@one.example and phone:+491711234567, by link ")


def test_an_alias_joins_two_customers_only_if_its_source_is_trusted(waypost: Installation) -> None:
    after = waypost.post(
        KEY,
        {"type": "page_viewed", "identities": {"customer_id": "new"}},
        {"type": "page_viewed", "identities": {"customer_id": "old"}},
    )
    alias = {
        "id": "alias-1",
        "type": "alias",
        "identities": {"customer_id": "new"},
        "properties": {"previous_id": "customer_id:old"},
    }
    after += "," + waypost.post(KEY, alias)
    assert waypost.person("customer_id:old", after)["touchpoints"] == 1
    token = waypost.post(CRM, alias)
    assert {topic for topic, _ in tokens.decode(token)} == {"touchpoints", "commands"}
    joined = waypost.person("customer_id:old", f"{after},{token}")
    assert (joined["touchpoints"], joined["identities"]) == (4, ["customer_id:new", "customer_id:old"])
    assert waypost.run("unlink", "customer_id:new", "customer_id:old", "--reason", "no").returncode == 0
    again = waypost.post(CRM, alias)
    assert waypost.person("customer_id:old", f"{after},{again}")["touchpoints"] == 1


def test_a_handle_that_an_alias_names_is_brought_along(waypost: Installation) -> None:
    after = waypost.post(
        KEY,
        {"type": "page_viewed", "identities": {"anonymous_id": "before"}},
        {"type": "alias", "identities": {"anonymous_id": "after"}, "properties": {"previous_id": "before"}},
        {"type": "signed_up", "identities": {"customer_id": "c", "anonymous_id": "after"}},
    )
    person = waypost.person("anonymous_id:before", after)
    assert person["identities"] == ["customer_id:c", "anonymous_id:after", "anonymous_id:before"]
    assert person["touchpoints"] == 3
