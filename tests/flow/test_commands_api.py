"""Commands over HTTP: what is refused, what is published, and what the log says of it. The running room on a real bus."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from schemas import tokens, topics
from schemas.commands import Command
from schemas.times import format_time
from services.journey.api_commands import UnlinkAnswer
from services.shared.bus import partition_of
from services.shared.db import Database, sqlite_url
from tests.builders import touchpoint
from tests.flow.journey_room import JSON, NOW_US, PARTITIONS, Journey, running, settings_of

WHY: JSON = {"reason": "called and proved it", "by": "ann@desk.example"}


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    with closing(Database(sqlite_url(tmp_path / "journey.db"))) as database, running(settings_of(tmp_path), database) as room:
        yield room


def published(journey: Journey) -> list[Command]:
    """All commands on the bus, the first one first (ids grow with the time)."""
    found = [record for partition in range(PARTITIONS) for record in journey.bus.read(topics.COMMANDS, partition, 0)]
    return sorted((msgspec.json.decode(record.value or b"", type=Command) for record in found), key=lambda one: one.id)


@pytest.mark.parametrize("action", ["link", "unlink"])
def test_a_pair_is_published_in_its_normal_form_and_answered_with_a_token(journey: Journey, action: str) -> None:
    given = ["email: A@B.c ", "case:zendesk/9"]
    answer = journey.tell(f"/v1/identities/{action}", {"identities": given, **WHY}).json()
    (command,) = published(journey)
    assert answer["command"] == msgspec.to_builtins(command)
    assert (command.action, command.identities, command.by, command.reason, command.at) == (
        action,
        ["email:a@b.c", "case:zendesk/9"],
        "ann@desk.example",
        "called and proved it",
        format_time(NOW_US),
    )
    made = uuid.UUID(command.id)
    assert (made.version, made.int >> 80) == (7, NOW_US // 1000)
    partition = partition_of(b"case:zendesk/9", PARTITIONS)
    assert tokens.decode(answer["token"]) == {(topics.COMMANDS, partition): 0}


def test_a_suspected_bot_is_released_by_any_of_its_names(journey: Journey) -> None:
    journey.post(touchpoint("1", 0, "customer_id:c-1", "device_id:d"))
    person = journey.person("customer_id:c-1")["person_id"]
    for name in ("device_id:d", f"person_id:{person}"):
        assert journey.tell(f"/v1/persons/{name}/release", WHY).status_code == 202
    assert sorted(command.identities[0] for command in published(journey)) == ["customer_id:c-1", "device_id:d"]
    assert {command.action for command in published(journey)} == {"release"}
    assert journey.tell("/v1/persons/device_id:unheard/release", WHY).status_code == 404
    assert len(published(journey)) == 2


@pytest.mark.parametrize(
    ("identities", "code"),
    [
        (["customer_id:c-1", "customer_id: c-1"], "same_identity"),
        (["customer_id:c-1", "c-2"], "invalid_identity"),
        (["customer_id:c-1", "Customer:2"], "invalid_namespace"),
        (["customer_id:c-1", "person_id:0f1e6b0e-8a75-4b45-9f3d-3e1a4b8f6c11"], "reserved_namespace"),
        (["customer_id:c-1", "email:null"], "identity_of_nobody"),
        (["customer_id:c-1", "case:9"], "invalid_identity"),
        (["customer_id:c-1", "order:shop/undefined"], "invalid_identity"),
        (["customer_id:c-1", "email:" + "a" * 201], "identity_too_long"),
        (["customer_id:c-1", "email:a\0b"], "invalid_request"),
        (["customer_id:c-1"], "invalid_request"),
        (["a:1", "b:2", "c:3"], "invalid_request"),
        (["customer_id:c-1", 2], "invalid_request"),
        (["customer_id:c-1", "email:\ud800"], "invalid_request"),
    ],
)
def test_a_pair_that_can_not_be_is_refused(journey: Journey, identities: list[object], code: str) -> None:
    answer = journey.tell("/v1/identities/link", {"identities": identities, **WHY})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert published(journey) == []


@pytest.mark.parametrize(
    "change", [{"by": None}, {"by": " "}, {"reason": ""}, {"reason": "a\0b"}, {"by": "\udfff"}, {"by": "b" * 201}, {"more": 1}]
)
def test_who_and_why_are_needed(journey: Journey, change: JSON) -> None:
    answer = journey.tell("/v1/identities/unlink", {"identities": ["customer_id:c-1", "email:a@b.c"], **WHY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert published(journey) == []


def test_the_log_says_who_did_what_but_not_to_whom(journey: Journey, capsys: pytest.CaptureFixture[str]) -> None:
    command = journey.tell("/v1/identities/link", {"identities": ["customer_id:c-1", "email:a@b.c"], **WHY}).json()["command"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "admin_action" in line]
    (entry,) = map(json.loads, lines)
    assert (entry["action"], entry["command"], entry["by"], entry["published"]) == ("link", command["id"], command["by"], True)
    assert "c-1" not in lines[0]
    assert "called" not in lines[0]


def test_with_the_bus_away_nothing_is_promised(journey: Journey, capsys: pytest.CaptureFixture[str]) -> None:
    journey.room.commands.close()
    answer = journey.tell("/v1/identities/link", {"identities": ["customer_id:c-1", "email:a@b.c"], **WHY})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    (entry,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "admin_action" in line]
    assert (entry["action"], entry["published"]) == ("link", False)


def test_unlink_says_by_what_the_two_are_still_one(journey: Journey) -> None:
    journey.post(
        touchpoint("1", 0, "customer_id:ann", "email:a@b.c"),
        touchpoint("2", 0, "anonymous_id:x", "email:a@b.c"),
    )
    linked = journey.command("/v1/identities/link", {"identities": ["customer_id:ann", "anonymous_id:x"], **WHY})["command"]
    answer = journey.command("/v1/identities/unlink", {"identities": ["anonymous_id:x", "customer_id:ann"], **WHY})
    assert UnlinkAnswer(**answer).model_dump(by_alias=True, exclude_unset=True) == answer
    later = max(linked, answer["command"], key=lambda command: command["id"])
    seen = {"by": "sighting", "touchpoint": {"source": "web", "id": "1"}}
    through_mail = [
        {"from": "anonymous_id:x", "to": "email:a@b.c", "by": "sighting", "touchpoint": {"source": "web", "id": "2"}},
        {"from": "email:a@b.c", "to": "customer_id:ann", **seen},
    ]
    by_link = [
        {"from": "anonymous_id:x", "to": "customer_id:ann", "by": "link", "command": {"id": linked["id"], "by": WHY["by"]}}
    ]
    assert (answer["parted"], answer["path"]) == (False, through_mail if later is answer["command"] else by_link)


def test_unlink_does_not_wait_longer_than_it_is_told(journey: Journey) -> None:
    journey.room.consumer.stop()
    answer = journey.tell(
        "/v1/identities/unlink", {"identities": ["customer_id:c-1", "email:a@b.c"], **WHY}, {"X-Waypost-Timeout": "0.1"}
    )
    assert (answer.status_code, answer.json()["parted"], answer.json()["path"]) == (202, None, None)
    assert len(published(journey)) == 1
