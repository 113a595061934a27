"""Everything held on a person as one document: what the other questions answer page by page, and nothing of anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.times import format_time
from schemas.touchpoint import Referral
from services.journey.asked import Wanted
from services.journey.export import PAGE
from services.journey.main import fold_rules
from services.journey.questions import Questions
from services.shared.db import Database
from services.shared.errors import Unavailable
from services.shared.http.spooling import spooled
from tests.builders import DAY_US, HOUR_US, START_US, case, order, read, touchpoint
from tests.flow.journey_room import JSON, NOW_US, Journey, settings_of


def keyed(rows: list[JSON]) -> dict[tuple[Any, ...], JSON]:
    return {(row["source"], row["id"]): row for row in rows}


def test_an_export_holds_everything_that_the_other_answers_tell(journey: Journey) -> None:
    referred_by = Referral(referred_by="email: A@B.c")
    journey.post(
        touchpoint("1", 0, "anonymous_id:x", properties={"note": "as sent"}),
        touchpoint("2", HOUR_US, "customer_id:ann", "anonymous_id:x", "email:a@b.c", "device_id:d"),
        touchpoint("3", 1 * DAY_US, "customer_id:ann", order=order("o-1")),
        touchpoint("4", 2 * DAY_US, "customer_id:ann", case=case("9", "opened")),
        touchpoint("5", 40 * DAY_US, "device_id:d"),
        touchpoint("6", 50 * DAY_US, "customer_id:bob", "device_id:d", referral=referred_by),
    )
    command = journey.command(
        "/v1/identities/link", {"identities": ["customer_id:ann", "phone:+49301"], "reason": "called", "by": "eve"}
    )["command"]
    answer = journey.ask("/v1/persons/email:a@b.c/export", {})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-disposition"] == 'attachment; filename="person.json"'
    assert len(answer.content) == int(answer.headers["content-length"])
    document = answer.json()

    person = journey.person("customer_id:ann")
    assert {key: document[key] for key in ("person_id", "version", "journeys", "outside", "suspected_bot")} == {
        key: person[key] for key in ("person_id", "version", "journeys", "outside", "suspected_bot")
    }
    assert document["exported_at"] == format_time(NOW_US)
    listed = journey.rows("/v1/persons/customer_id:ann/touchpoints", "touchpoints", 100)
    assert [row["id"] for row in document["touchpoints"]] == ["1", "2", "3", "4", "5"]
    assert {key: row["sent"] for key, row in keyed(document["touchpoints"]).items()} == {
        key: row["sent"] for key, row in keyed(listed).items()
    }
    assert document["touchpoints"][0]["sent"]["properties"] == {"note": "as sent"}
    assert {row["identity"] for row in document["identities"]} >= {"customer_id:ann", "email:a@b.c", "anonymous_id:x"}
    assert [row["case_id"] for row in document["cases"]] == ["9"]
    assert [row["month"] for row in document["facts"]] == sorted(row["month"] for row in document["facts"])
    assert {row["fact"]["kind"] for row in document["facts"]} >= {"day", "order", "case"}
    assert document["commands"] == [command]
    assert document["mentions"] == [
        {"kind": "referral", "identity": "email:a@b.c", "time": format_time(START_US + 50 * DAY_US), "source": "web", "id": "6"}
    ]


def test_what_others_did_with_the_same_things_stays_out(journey: Journey) -> None:
    journey.post(
        touchpoint("1", 0, "customer_id:ann", "device_id:d"),
        touchpoint("2", DAY_US, "customer_id:bob", "device_id:d"),
        touchpoint("3", 2 * DAY_US, "customer_id:ann", "device_id:d"),
    )
    answer = journey.ask("/v1/persons/customer_id:ann/export", {})
    assert "bob" not in answer.text
    told = [(row["identity"], row["touchpoint"]["id"], row["in_effect"]) for row in answer.json()["evidence"]]
    assert told == [("device_id:d", "3", True), ("device_id:d", "1", False)]
    assert journey.ask("/v1/persons/customer_id:nobody/export", {}).status_code == 404


def test_a_long_history_is_written_in_small_parts(journey: Journey, database: Database, tmp_path: Path) -> None:
    count = 2 * PAGE + 1
    journey.post(*(touchpoint(str(n), n * HOUR_US, "customer_id:ann", "email:a@b.c") for n in range(count)))
    assert journey.person("customer_id:ann")["touchpoints"] == count
    settings = settings_of(tmp_path)
    with database.snapshot() as tx:
        questions = Questions(settings, database, tx, fold_rules(settings), read, NOW_US)
        parts = list(questions.export(Wanted("customer_id", "ann"), NOW_US))
    document = json.loads(b"".join(parts))
    assert [row["id"] for row in document["touchpoints"]] == [str(n) for n in range(count)]
    assert len(document["evidence"]) == count
    assert max(map(len, parts)) < 64 * 1024 < len(b"".join(parts))


def test_a_document_that_can_not_be_finished_is_never_begun() -> None:
    def parts() -> Iterator[bytes]:
        yield b"{"
        raise Unavailable("the database is away")

    with pytest.raises(Unavailable, match="the database is away"):
        spooled(parts())
