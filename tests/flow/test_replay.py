"""Rejected records come in again once the rules or the data are mended: those that are good now, and each once."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import tokens, topics
from schemas.commands import Command
from schemas.times import format_time
from services.shared.bus import Record
from services.shared.errors import Rejected
from services.shared.rejects import Rejects
from tests.flow.ingest_room import JSON, KEY, NOW_US, PURCHASE, Ingest, all_rows, publish

INFO = "info@shop.example"
GOOD_NOW = [
    {"type": "a", "identities": {"email": INFO}},
    {"type": "b", "identities": {"email": f" {INFO.upper()}"}, "id": "own"},
]
BAD_NOW: list[object] = [{"type": "c"}, 7, {"type": "d", "identities": {"email": INFO}, "note": 1}]


def replay(ingest: Ingest, **selection: object) -> JSON:
    ingest.now_us += 1
    answer = ingest.tell("/v1/rejected/replay", {"by": "sam", **selection})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def refuse(ingest: Ingest, record: Record, code: str = "refused") -> JSON:
    """What happens when journey can't process a record; the row that it becomes."""
    with closing(Rejects(ingest.bus, "journey", lambda: NOW_US)) as rejects:
        rejects.keep(record, Rejected(code, "not by this version"))
    ends = ingest.bus.end_offsets(topics.REJECTED)
    token = ",".join(f"r{partition}-{end - 1}" for partition, end in ends.items() if end)
    (row,) = [row for row in all_rows(ingest, token, room="journey") if row["offset"] == record.offset and row["code"] == code]
    return row


def touched(ingest: Ingest, token: str) -> list[tuple[str, bytes, bytes]]:
    """(topic, key, value) of the last record of each partition that a token names."""
    found = []
    for (topic, partition), offset in tokens.decode(token).items():
        (record,) = ingest.bus.read(topic, partition, offset, 1)
        found.append((topic, record.key, record.value or b""))
    return found


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(st.sampled_from([*GOOD_NOW, *BAD_NOW]), min_size=1, max_size=8), idempotent=st.booleans())
def test_after_mending_exactly_what_is_good_now_comes_in_and_counts_once(
    tmp_path_factory: pytest.TempPathFactory, items: list[object], idempotent: bool
) -> None:
    folder, keys = tmp_path_factory.mktemp("mended"), f"shop={KEY}"
    headers = {"idempotency_key": "same"} if idempotent else {}
    with closing(Ingest(folder, write_keys=keys, nobody=(f"email:{INFO}",))) as before:
        before.room.start()
        first = before.post(items, **headers).json()
        assert first["accepted"] == 0
        assert len(all_rows(before, first["token"])) == len(items)
        assert replay(before, source="shop")["replayed"] == 0
    with closing(Ingest(folder, write_keys=keys)) as after:
        after.room.start()
        good = [item for item in items if item in GOOD_NOW]
        answer = replay(after, source="shop")
        assert (answer["replayed"], answer["rejected"]) == (len(good), len(items) - len(good))
        left = replay(after, source="shop")
        assert [result["status"] for result in left["results"]] == ["rejected"] * (len(items) - len(good))
        once = set(after.values(topics.TOUCHPOINTS))
        assert len(once) == good.count(GOOD_NOW[0]) + (GOOD_NOW[1] in good)
        assert {json.loads(value)["received_at"] for _, value in once} <= {format_time(NOW_US)}
        rows = all_rows(after)
        assert all((row["replayed_at"] is not None) == (json.loads(row["body"]) in GOOD_NOW) for row in rows)
        replay(after, ids=[row["id"] for row in rows])
        assert set(after.values(topics.TOUCHPOINTS)) == once
        if idempotent:  # the sender's own repetition gives the same ids as the replay
            sent = {result["id"] for result in after.post(items, **headers).json()["results"] if result["status"] == "accepted"}
            assert sent == {json.loads(value)["id"] for _, value in once}


def test_a_mended_body_takes_the_place_of_one_records_bytes(consuming: Ingest) -> None:
    token = consuming.post([{"type": "x", "identities": {"customer_id": "c-9"}, "sum": 1.50}]).json()["token"]
    (row,) = all_rows(consuming, token, code="unknown_field")
    bad = replay(consuming, ids=[row["id"]], body={"type": "x"})
    assert (bad["results"][0]["status"], bad["results"][0]["code"], bad["token"]) == ("rejected", "no_identity", "")
    content = (
        b'{"by": "sam", "ids": ["%b"], "body": {"type": "x", "identities": {"customer_id": "c-9"}, "properties": {"sum": 1.50}}}'
    )
    consuming.now_us += 1
    answer = consuming.call(
        "POST", "/v1/rejected/replay", content % row["id"].encode(), {"host": "localhost", "content-type": "application/json"}
    ).json()
    assert (answer["replayed"], answer["results"][0]["touchpoint_id"]) == (1, row["touchpoint_id"])
    ((topic, key, value),) = touched(consuming, answer["token"])
    assert (topic, key) == (topics.TOUCHPOINTS, b"customer_id:c-9")
    assert json.loads(value)["properties"] == {"sum": 1.5}
    (row,) = [one for one in all_rows(consuming) if one["id"] == row["id"]]
    assert [(told["status"], told["code"], told["mended"], told["by"]) for told in row["replays"]] == [
        ("rejected", "no_identity", True, "sam"),
        ("replayed", None, True, "sam"),
    ]
    assert json.loads(row["body"])["sum"] == 1.5


def test_what_journey_had_refused_goes_back_to_its_topic_as_it_was(consuming: Ingest) -> None:
    token = consuming.post([{**PURCHASE, "id": "back-1"}]).json()["token"]
    (((_, partition), offset),) = tokens.decode(token).items()
    (record,) = consuming.bus.read(topics.TOUCHPOINTS, partition, offset, 1)
    row = refuse(consuming, record)
    assert (row["source"], row["topic"]) == ("shop", topics.TOUCHPOINTS)
    for _ in range(2):
        answer = replay(consuming, ids=[row["id"]])
        assert answer["results"][0]["touchpoint_id"] == "back-1"
        assert touched(consuming, answer["token"]) == [(topics.TOUCHPOINTS, record.key, record.value)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"no JSON", "invalid_json"),
        (b"[]", "wrong_type"),
        (b"{}", "missing_field"),
        (b"[" * 40 + b"]" * 40, "too_deep"),
        (b'{"type":"x","source":"s","system":"s"}', "missing_field"),
        (b'{"type":"x","source":7,"system":"s","received_at":"2026-01-01T00:00:00Z"}', "wrong_type"),
        (b'{"type":"x","source":"s","system":"s","received_at":"now"}', "invalid_time"),
        (b'{"type":"x","source":"s","system":"s","received_at":"2026-01-01T00:00:00Z"}', "no_identity"),
        (b'{"type":"x","source":"s","source":"t"}', "duplicate_key"),
    ],
)
def test_what_is_still_no_touchpoint_stays_rejected(consuming: Ingest, body: bytes, code: str) -> None:
    row = refuse(consuming, Record(topics.TOUCHPOINTS, 1, hash_of(body), b"k", body, 0), f"poison_{hash_of(body)}")
    (result,) = replay(consuming, ids=[row["id"]])["results"]
    assert (result["status"], result["code"]) == ("rejected", code)


def hash_of(body: bytes) -> int:
    return sum(body) + len(body)


def test_the_stamps_that_a_mended_body_leaves_out_are_those_of_the_original(consuming: Ingest) -> None:
    original = b'{"type":"x","source":"s","system":"sys","received_at":"2026-01-01T00:00:00Z","note":1}'
    row = refuse(consuming, Record(topics.TOUCHPOINTS, 1, 5_000, b"k", original, 0))
    answer = replay(
        consuming,
        ids=[row["id"]],
        body={"type": "x", "id": "m-1", "identities": {}, "case": {"case_id": "9", "action": "opened"}},
    )
    ((_, key, value),) = touched(consuming, answer["token"])
    assert key == b"case:sys/9"
    said = json.loads(value)
    assert (said["source"], said["system"], said["received_at"], said["id"]) == ("s", "sys", "2026-01-01T00:00:00Z", "m-1")


def test_commands_go_back_under_the_key_of_commands_and_nothing_else_is_published(consuming: Ingest) -> None:
    command = Command(
        id="k-1", action="link", identities=["email:B@x.example", "customer_id:a"], by="sam", at="2026-01-01T00:00:00Z"
    )
    row = refuse(consuming, Record(topics.COMMANDS, 0, 6_000, b"wrong key", msgspec.json.encode(command), 0))
    ((topic, key, value),) = touched(consuming, replay(consuming, ids=[row["id"]])["token"])
    assert (topic, key) == (topics.COMMANDS, b"customer_id:a")
    assert json.loads(value)["identities"] == ["email:b@x.example", "customer_id:a"]
    erase = Command(
        id="k-2", action="erase", identities=["email:b@x.example", "customer_id:a"], by="sam", at="2026-01-01T00:00:00Z"
    )
    row = refuse(consuming, Record(topics.COMMANDS, 0, 6_020, b"", msgspec.json.encode(erase), 0))
    ((_, key, _),) = touched(consuming, replay(consuming, ids=[row["id"]])["token"])
    assert key == b"email:b@x.example"
    for number, body in enumerate([b"null", b"{}", msgspec.json.encode(msgspec.structs.replace(command, identities=["a:1"]))]):
        row = refuse(consuming, Record(topics.COMMANDS, 0, 6_001 + number, b"", body, 0))
        assert replay(consuming, ids=[row["id"]])["results"][0]["code"] == "invalid_command"
    for topic in (topics.JOURNEYS, topics.DONE):
        row = refuse(consuming, Record(topic, 0, 6_010, b"person/2026-01", b"{}", 0), f"refused_{topic.replace('.', '_')}")
        assert replay(consuming, ids=[row["id"]])["results"][0]["code"] == "not_replayable"
    row = all_rows(consuming, publish(consuming, b"poison"), code="invalid_record")[0]
    assert replay(consuming, ids=[row["id"]])["results"][0]["code"] == "not_replayable"


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({}, "invalid_request"),
        ({"by": ""}, "invalid_request"),
        ({"by": "sam"}, "nothing_selected"),
        ({"by": "sam", "ids": []}, "invalid_request"),
        ({"by": "sam", "ids": ["a", "b"], "body": {}}, "one_body_for_many"),
        ({"by": "sam", "source": "shop", "body": {}}, "one_body_for_many"),
        ({"by": "sam", "source": "shop", "sauce": 1}, "invalid_request"),
        ({"by": "sam", "since": "yesterday"}, "invalid_time"),
        ({"by": "sam", "source": "\0"}, "invalid_text"),
        ({"by": "sam", "source": "shop", "cursor": "x"}, "invalid_cursor"),
    ],
)
def test_a_replay_that_says_not_what_is_refused(consuming: Ingest, question: JSON, code: str) -> None:
    answer = consuming.tell("/v1/rejected/replay", question)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_an_unknown_id_is_said_to_be_unknown_and_a_page_has_a_next(consuming: Ingest) -> None:
    token = consuming.post([{"type": "many"}] * 3).json()["token"]
    since = {"code": "no_identity", "since": format_time(NOW_US)}
    total = len(all_rows(consuming, token, replayed="false", **since))
    pages: list[list[str]] = []
    cursor: JSON = {}
    while True:
        page = replay(consuming, **since, limit=2, **cursor)
        pages.append([result["id"] for result in page["results"]])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len({id for page in pages for id in page}) == total >= 3
    (result,) = replay(consuming, ids=["nobody"])["results"]
    assert (result["id"], result["status"]) == ("nobody", "unknown")


def test_a_bus_that_is_away_replays_nothing_and_notes_nothing(tmp_path: Path) -> None:
    with closing(Ingest(tmp_path)) as ingest:
        ingest.room.start()
        token = ingest.post([{"type": "x"}]).json()["token"]
        (row,) = all_rows(ingest, token)
        ingest.bus.close()
        body = {"type": "x", "identities": {"customer_id": "c"}}
        answer = ingest.tell("/v1/rejected/replay", {"by": "sam", "ids": [row["id"]], "body": body})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert all_rows(ingest)[0]["replays"] == []


def test_who_replayed_what_stands_in_the_log_and_nothing_of_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Ingest(tmp_path)) as ingest:
        ingest.room.start()
        token = ingest.post([{"type": "x", "identities": {"email": "secret@x.example"}, "note": 1}]).json()["token"]
        assert len(all_rows(ingest, token)) == 1
        replay(ingest, source="shop")
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "admin_action" in line]
    assert line["room"] == "ingest"
    assert (line["action"], line["by"], line["replayed"], line["rejected"], line["mended"]) == (
        "replay_rejected",
        "sam",
        0,
        1,
        False,
    )
    assert line["wanted"] == {"source": "shop", "replayed": False}
