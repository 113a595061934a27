"""Why things are one person, over HTTP: every sighting, link and alias, and what is in effect. A real bus, the running room."""

from __future__ import annotations

import msgspec
import pytest

from schemas import tokens, topics
from schemas.commands import Command, alias_command_id
from schemas.times import format_time
from schemas.touchpoint import Accepted
from services.journey.docs import EvidenceAnswer, IdentitiesAnswer
from services.shared.bus import Outgoing
from tests.builders import DAY_US, HOUR_US, START_US, order, touchpoint
from tests.flow.journey_room import JSON, Journey


def at(us: int) -> str:
    return format_time(START_US + us)


def identities(journey: Journey, person: str, limit: int = 100) -> dict[str, JSON]:
    rows = journey.rows(f"/v1/persons/{person}/identities", "identities", limit)
    assert (
        IdentitiesAnswer(identities=rows, next_cursor=None, likely_duplicates=[]).model_dump(by_alias=True)["identities"] == rows
    )
    return {row["identity"]: row for row in rows}


def evidence(journey: Journey, person: str, of: str, limit: int = 100, **query: object) -> list[JSON]:
    rows = journey.rows(f"/v1/persons/{person}/identities", "evidence", limit, of=of, **query)
    assert EvidenceAnswer(evidence=rows, next_cursor=None).model_dump(by_alias=True)["evidence"] == rows
    return rows


def told(row: JSON) -> tuple[object, ...]:
    """Which touchpoint, whom it leads to, from when to when, and whether that is now."""
    return row["touchpoint"]["id"], row["leads_to"], row["from"], row["until"], row["in_effect"]


def alias(id: str, at_us: int, customer: str, previous: str) -> Accepted:
    return touchpoint(id, at_us, customer, type="alias", previous=previous, source="crm")


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_tablet_is_split_in_time_by_who_signed_in(journey: Journey, limit: int) -> None:
    journey.post(
        touchpoint("1", 0, "customer_id:ann", "device_id:d"),
        touchpoint("2", 1 * DAY_US, "anonymous_id:x", "device_id:d"),
        touchpoint("3", 10 * DAY_US, "customer_id:bob", "device_id:d"),
        touchpoint("4", 20 * DAY_US, "customer_id:ann", "device_id:d"),
    )
    rows = evidence(journey, "customer_id:ann", "device_id:d", limit)
    assert [told(row) for row in rows] == [
        ("4", "customer_id:ann", at(20 * DAY_US), None, True),
        ("3", "customer_id:bob", at(10 * DAY_US), at(20 * DAY_US), False),
        ("2", None, None, None, False),
        ("1", "customer_id:ann", None, at(10 * DAY_US), False),
    ]
    assert [row["with"] for row in rows] == [["customer_id:ann"], ["customer_id:bob"], ["anonymous_id:x"], ["customer_id:ann"]]
    assert rows[0]["touchpoint"] == {"source": "web", "id": "4", "type": "noted"}
    then = evidence(journey, "customer_id:ann", "device_id:d", limit, at=at(5 * DAY_US))
    assert [row["in_effect"] for row in then] == [False, False, False, True]


def test_where_only_one_customer_was_seen_every_sighting_counts_at_all_times(journey: Journey) -> None:
    seen = [touchpoint(str(n), n * HOUR_US, "customer_id:ann", "email:a@b.c") for n in range(12)]
    journey.post(*seen, touchpoint("x", DAY_US, "email:a@b.c"))
    mail = identities(journey, "customer_id:ann", 1)["email:a@b.c"]
    assert [told(row) for row in mail["evidence"]] == [(str(n), "customer_id:ann", None, None, True) for n in range(11, 1, -1)]
    path = "/v1/persons/customer_id:ann/identities"
    rest = journey.get(path, of="email:a@b.c", cursor=mail["more_evidence"])
    assert ([told(row)[0] for row in rest["evidence"]], rest["next_cursor"]) == (["1", "0"], None)
    assert journey.refused("/v1/persons/customer_id:ann/identities", of="email:un@heard") == (404, "unknown_identity")


def test_of_a_shared_mailbox_a_person_sees_only_the_own_touchpoints(journey: Journey) -> None:
    journey.post(*(touchpoint(f"s{n}", n * HOUR_US, f"customer_id:{n}", "email:desk@call.example") for n in range(4)))
    mailbox = identities(journey, "customer_id:2")["email:desk@call.example"]
    assert (mailbox["owned_by"], mailbox["shared"]) == ("shared", True)
    assert [told(row) for row in mailbox["evidence"]] == [("s2", None, None, None, False)]


def test_an_alias_between_customers_is_listed_with_both_and_does_nothing(journey: Journey) -> None:
    journey.post(
        touchpoint("1", 0, "customer_id:old"),
        touchpoint("2", HOUR_US, "customer_id:new", "anonymous_id:x"),
        alias("a-1", 2 * HOUR_US, "customer_id:new", "customer_id:old"),
        alias("a-2", 3 * HOUR_US, "customer_id:new", "anonymous_id:y"),
    )
    for one, other in (("customer_id:old", "customer_id:new"), ("customer_id:new", "customer_id:old")):
        ((row),) = identities(journey, one)[one]["evidence"]
        assert (row["kind"], row["time"], row["with"], row["in_effect"]) == ("alias", at(2 * HOUR_US), [other], False)
        assert (row["touchpoint"], row["command"]) == ({"source": "crm", "id": "a-1", "type": "alias"}, None)
    assert list(identities(journey, "customer_id:new")) == ["customer_id:new", "anonymous_id:x", "anonymous_id:y"]
    assert journey.person("customer_id:old")["touchpoints"] == 1


def test_an_alias_that_is_sent_again_with_nothing_to_claim_is_listed_no_more(journey: Journey) -> None:
    first = alias("a-1", 2 * HOUR_US, "customer_id:new", "customer_id:old")
    journey.post(first)
    assert len(identities(journey, "customer_id:new")["customer_id:new"]["evidence"]) == 1
    journey.post(msgspec.structs.replace(first, previous=None, received_at=at(HOUR_US)))
    assert identities(journey, "customer_id:new")["customer_id:new"]["evidence"] == []


def test_commands_are_listed_with_who_and_why_and_the_newest_of_a_pair_counts(journey: Journey) -> None:
    journey.post(touchpoint("1", 0, "customer_id:ann"), touchpoint("2", 0, "email:a@b.c"))
    why = {"identities": ["email:a@b.c", "customer_id:ann"], "by": "eve"}
    linked = journey.command("/v1/identities/link", {**why, "reason": "called"})["command"]
    parted = journey.command("/v1/identities/unlink", {**why, "reason": "lied"})["command"]
    newest, oldest = evidence(journey, "customer_id:ann", "customer_id:ann")
    newer = max(linked, parted, key=lambda command: command["id"])
    assert {row["command"]["id"]: row["in_effect"] for row in (newest, oldest)} == {
        command["id"]: command is newer for command in (linked, parted)
    }
    assert newest["command"] == {key: newer[key] for key in ("id", "action", "by", "at", "reason")}
    assert (newest["kind"], newest["with"], newest["touchpoint"]) == (newer["action"], ["email:a@b.c"], None)


def test_an_alias_of_a_trusted_source_points_to_its_command(journey: Journey) -> None:
    pair = ["customer_id:new", "customer_id:old"]
    command = Command(
        id=alias_command_id("crm", "a-1", pair), action="link", identities=pair, by="crm", at=at(0), reason="alias a-1"
    )
    publisher = journey.bus.publisher()
    (position,) = publisher.publish([Outgoing(topics.COMMANDS, pair[0].encode(), msgspec.json.encode(command))]).result(10)
    journey.post(alias("a-1", 0, *pair))
    journey.token = f"{journey.token},{tokens.encode([(topics.COMMANDS, *position)])}"
    rows = evidence(journey, "customer_id:new", "customer_id:new")
    assert {row["kind"]: (row["in_effect"], row["command"] and row["command"]["id"]) for row in rows} == {
        "alias": (True, command.id),
        "link": (True, command.id),
    }


def test_likely_duplicates_are_listed_with_the_reason(journey: Journey) -> None:
    journey.post(
        touchpoint("1", 0, "customer_id:ann", "email:ann.lee@x.example", "phone:+491711234567", "device_id:d"),
        touchpoint("2", 0, "customer_id:ann", order=order("o-1")),
        touchpoint("3", 0, "customer_id:tag", "email:annlee+shop@x.example"),
        touchpoint("4", 0, "email:annlee@x.example"),
        touchpoint("5", 0, "customer_id:phone", "phone:0171 1234567"),
        touchpoint("6", 0, "customer_id:order", order=order("o-1")),
        touchpoint("7", 0, "customer_id:tablet", "device_id:d"),
        touchpoint("8", 0, "customer_id:other", "email:ann.lee@y.example"),
        touchpoint("9", 0, "customer_id:other", "email:ann.leer+x@x.example"),
    )
    answer = journey.get("/v1/persons/customer_id:ann/identities")
    assert [(row["identity"], row["reason"], row["mine"], row["theirs"]) for row in answer["likely_duplicates"]] == [
        ("email:annlee@x.example", "same_email", "email:ann.lee@x.example", "email:annlee@x.example"),
        ("customer_id:tag", "same_email", "email:ann.lee@x.example", "email:annlee+shop@x.example"),
        ("customer_id:phone", "same_phone", "phone:+491711234567", "phone:0171 1234567"),
        ("customer_id:order", "same_order", "order:shop/o-1", "order:shop/o-1"),
        ("customer_id:tablet", "same_handle", "device_id:d", "device_id:d"),
    ]
    assert answer["likely_duplicates"][1]["person_id"] == journey.person("customer_id:tag")["person_id"]
    first = journey.get("/v1/persons/customer_id:ann/identities", limit=1)
    assert [row["reason"] for row in first["likely_duplicates"]] == ["same_order", "same_handle"]
    second = journey.get("/v1/persons/customer_id:ann/identities", limit=1, cursor=first["next_cursor"])
    assert [row["reason"] for row in second["likely_duplicates"]] == ["same_email", "same_email"]


def test_whom_somebody_parted_is_no_likely_duplicate(journey: Journey) -> None:
    journey.post(touchpoint("1", 0, "email:ann.lee@x.example"), touchpoint("2", 0, "customer_id:tag", "email:annlee@x.example"))
    path = "/v1/persons/email:ann.lee@x.example/identities"
    assert [row["identity"] for row in journey.get(path)["likely_duplicates"]] == ["customer_id:tag"]
    pair = ["email:ann.lee@x.example", "email:annlee@x.example"]
    journey.command("/v1/identities/unlink", {"identities": pair, "reason": "father and son", "by": "eve"})
    assert journey.get(path)["likely_duplicates"] == []


def test_what_an_erased_person_did_still_ends_the_time_of_others_and_is_not_told(journey: Journey) -> None:
    journey.post(
        touchpoint("1", 0, "customer_id:ann", "device_id:d"),
        touchpoint("2", 10 * DAY_US, "customer_id:bob", "device_id:d"),
        touchpoint("3", 20 * DAY_US, "customer_id:ann", "device_id:d"),
    )
    token = journey.room.commands.publish("erase", ["customer_id:bob"], "eve", "asked for it").token
    journey.token = f"{journey.token},{token}"
    rows = evidence(journey, "customer_id:ann", "device_id:d")
    assert [told(row) for row in rows] == [
        ("3", "customer_id:ann", at(20 * DAY_US), None, True),
        ("1", "customer_id:ann", None, at(10 * DAY_US), False),
    ]
    for path in ("identities", "export"):
        assert "bob" not in journey.ask(f"/v1/persons/customer_id:ann/{path}", {}).text
