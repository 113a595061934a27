"""Journey's answers over HTTP: people, touchpoints, identities, journeys, cases. A real bus, a real database, the running room."""

from __future__ import annotations

import csv
import io

import pytest

from schemas.times import format_time
from schemas.touchpoint import Accepted
from services.journey.docs import CasesAnswer, IdentitiesAnswer, JourneyAnswer, JourneysAnswer, TouchpointsAnswer
from services.shared.db import Database
from tests.builders import DAY_US, HOUR_US, START_US, case, order, survey, touchpoint
from tests.flow.journey_room import JSON, Journey


def at(us: int) -> str:
    return format_time(START_US + us)


def a_life() -> list[Accepted]:
    """An anonymous visitor who signs in, buys, asks for help, is asked how it was, and comes back after the timeout."""
    return [
        touchpoint("t1", 0, "anonymous_id:a1", stage="awareness"),
        touchpoint("t2", 1 * HOUR_US, "anonymous_id:a1"),
        touchpoint("t3", 1 * DAY_US, "customer_id:c-42", "anonymous_id:a1", "email:a@b.c", stage="purchase"),
        touchpoint("t4", 1 * DAY_US + HOUR_US, "customer_id:c-42", order=order("o-1", amount="19.99")),
        touchpoint(
            "t5", 2 * DAY_US, "customer_id:c-42", case=case("9", "opened", topic="returns"), source="desk", system="zendesk"
        ),
        touchpoint("t6", 3 * DAY_US, case=case("9", "resolved"), actor="business", source="desk", system="zendesk"),
        touchpoint("t7", 4 * DAY_US, "email:a@b.c", survey=survey("9", 7), source="desk", system="zendesk"),
        touchpoint("t8", 110 * DAY_US, "customer_id:c-42", channel="app"),
    ]


def test_a_person_is_answered_with_every_journey(journey: Journey) -> None:
    journey.post(*a_life())
    answer = journey.person("customer_id:c-42")
    first, second = answer["journeys"]
    assert answer["identities"] == ["customer_id:c-42", "email:a@b.c", "anonymous_id:a1", "order:shop/o-1", "case:zendesk/9"]
    assert (answer["identity_count"], answer["touchpoints"]) == (5, 8)
    assert (answer["suspected_bot"], answer["identified"]) == (False, True)
    assert answer["outside"] == {"orders": [], "cases": [], "surveys": []}
    assert {key: first[key] for key in ("started_at", "last_at", "open", "current_stage", "furthest_stage", "touchpoints")} == {
        "started_at": at(0),
        "last_at": at(4 * DAY_US),
        "open": False,
        "current_stage": "purchase",
        "furthest_stage": "purchase",
        "touchpoints": 7,
    }
    assert first["stages"] == [
        {"stage": "awareness", "reached_at": at(0), "left_at": at(DAY_US), "touchpoints": 2},
        {"stage": "consideration", "reached_at": at(DAY_US), "left_at": at(DAY_US), "touchpoints": 0},
        {"stage": "purchase", "reached_at": at(DAY_US), "left_at": None, "touchpoints": 5},
    ]
    assert [(one["order_id"], one["amount"], one["currency"], one["placed_at"]) for one in first["orders"]] == [
        ("o-1", "19.99", "EUR", at(DAY_US + HOUR_US))
    ]
    assert [(one["case_id"], one["topic"], one["resolved"], one["resolved_at"]) for one in first["cases"]] == [
        ("9", "returns", True, [at(3 * DAY_US)])
    ]
    assert [(one["score"], one["topic"], one["case_id"]) for one in first["surveys"]] == [(7.0, "returns", "9")]
    assert (second["open"], second["furthest_stage"], second["entry_stage"], second["channel"]) == (
        True,
        "loyalty",
        "loyalty",
        "app",
    )


@pytest.mark.parametrize(
    "identity", ["email:%20A%40B.c", "anonymous_id:a1", "case:zendesk/9", "case:zendesk%2F9", "order:shop/o-1"]
)
def test_every_name_of_a_person_finds_the_same_person(journey: Journey, identity: str) -> None:
    journey.post(*a_life())
    expected = journey.person("customer_id:c-42")
    assert journey.get(f"/v1/persons/{identity}") == expected
    assert journey.person(f"person_id:{expected['person_id'].upper()}") == expected


def test_a_former_person_id_answers_with_the_present_person(journey: Journey) -> None:
    before, *after = a_life()
    journey.post(before)
    former = journey.person("anonymous_id:a1")
    journey.post(*after)
    present = journey.person("customer_id:c-42")
    assert former["person_id"] != present["person_id"]
    assert journey.person(f"person_id:{former['person_id']}") == present


def test_a_former_journey_id_answers_with_the_journey_that_holds_its_first_touchpoint(journey: Journey) -> None:
    before, *after = a_life()
    journey.post(before)
    (former,) = journey.person("anonymous_id:a1")["journeys"]
    assert journey.get(f"/v1/journeys/{former['id']}")["touchpoints"] == 1
    journey.post(*after)
    present = journey.person("customer_id:c-42")
    answer = journey.get(f"/v1/journeys/{former['id']}")
    assert answer == present["journeys"][0] | {"person_id": present["person_id"]}
    assert JourneyAnswer(**answer).model_dump() == answer
    assert journey.get(f"/v1/journeys/{answer['id']}") == answer


def test_a_shared_device_is_looked_up_at_a_time(journey: Journey) -> None:
    journey.post(
        touchpoint("1", 0, "customer_id:ann", "device_id:d"),
        touchpoint("2", 1 * DAY_US, "device_id:d"),
        touchpoint("3", 10 * DAY_US, "customer_id:bob", "device_id:d"),
        touchpoint("4", 11 * DAY_US, "device_id:d"),
    )
    ann, bob = journey.person("customer_id:ann"), journey.person("customer_id:bob")
    assert (ann["touchpoints"], bob["touchpoints"]) == (2, 2)
    assert journey.person("device_id:d")["person_id"] == bob["person_id"]
    assert journey.person("device_id:d", at=at(5 * DAY_US))["person_id"] == ann["person_id"]
    assert journey.person("device_id:d", at=at(-5 * DAY_US))["person_id"] == ann["person_id"]
    assert journey.person("customer_id:ann")["identities"] == ["customer_id:ann"]
    assert journey.person("customer_id:ann", at=at(5 * DAY_US))["identities"] == ["customer_id:ann", "device_id:d"]


def test_identities_say_why_they_are_one_person(journey: Journey) -> None:
    journey.post(
        *a_life(),
        touchpoint("t9", 5 * DAY_US, "email:a@b.c", "device_id:d"),
        *(touchpoint(f"s{n}", n * HOUR_US, f"customer_id:{n}", "phone:+4930123") for n in range(4)),
        touchpoint("s9", 6 * DAY_US, "customer_id:c-42", "phone:+4930123"),
        touchpoint("u1", 0, "customer_id:other", "device_id:e"),
        touchpoint("u2", 6 * DAY_US, "customer_id:c-42", "device_id:e"),
    )
    rows = journey.rows("/v1/persons/customer_id:c-42/identities", "identities", 2)
    assert (
        IdentitiesAnswer(identities=rows, next_cursor=None, likely_duplicates=[]).model_dump(by_alias=True)["identities"] == rows
    )
    told = {row["identity"]: row for row in rows}
    assert list(told) == [
        "customer_id:c-42",
        "email:a@b.c",
        "phone:+4930123",
        "anonymous_id:a1",
        "device_id:d",
        "device_id:e",
        "order:shop/o-1",
        "case:zendesk/9",
    ]
    assert told["customer_id:c-42"] == {
        "identity": "customer_id:c-42",
        "owned_by": "itself",
        "linked_to": None,
        "settled": True,
        "shared": False,
        "seen": None,
        "evidence": [],
        "more_evidence": None,
    }
    evidence = {"time": at(DAY_US), "source": "web", "id": "t3", "with": "customer_id:c-42"}
    assert (told["email:a@b.c"]["owned_by"], told["email:a@b.c"]["seen"]) == ("seen_with_customer", evidence)
    assert (told["device_id:d"]["owned_by"], told["device_id:d"]["settled"]) == ("seen_with_handle", True)
    assert told["device_id:d"]["seen"] == {"time": at(5 * DAY_US), "source": "web", "id": "t9", "with": "email:a@b.c"}
    assert (told["device_id:e"]["settled"], told["device_id:e"]["seen"]["id"]) == (False, "u2")
    assert (told["phone:+4930123"]["owned_by"], told["phone:+4930123"]["shared"]) == ("shared", True)
    earlier = journey.rows("/v1/persons/customer_id:c-42/identities", "identities", 100, at=at(5 * DAY_US))
    assert "device_id:e" not in [row["identity"] for row in earlier]


def test_a_prospect_goes_by_the_highest_ranked_handle(journey: Journey) -> None:
    journey.post(touchpoint("1", 0, "email:p@q.r", "anonymous_id:x"), touchpoint("2", HOUR_US, "anonymous_id:x"))
    assert journey.person("anonymous_id:x")["identities"] == ["email:p@q.r", "anonymous_id:x"]
    rows = journey.rows("/v1/persons/anonymous_id:x/identities", "identities", 1)
    assert [(row["owned_by"], row["seen"] and row["seen"]["with"]) for row in rows] == [
        ("itself", None),
        ("highest_rank", "email:p@q.r"),
    ]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_touchpoints_are_paged_the_newest_first_with_what_was_derived(journey: Journey, limit: int) -> None:
    journey.post(*a_life())
    first, second = journey.person("customer_id:c-42")["journeys"]
    rows = journey.rows("/v1/persons/email:a@b.c/touchpoints", "touchpoints", limit)
    assert TouchpointsAnswer(touchpoints=rows, next_cursor=None).model_dump()["touchpoints"] == rows
    assert [(row["id"], row["stage"], row["journey"]) for row in reversed(rows)] == [
        ("t1", "awareness", first["id"]),
        ("t2", "awareness", first["id"]),
        ("t3", "purchase", first["id"]),
        ("t4", "purchase", first["id"]),
        ("t5", "purchase", first["id"]),
        ("t6", "purchase", first["id"]),
        ("t7", "purchase", first["id"]),
        ("t8", "loyalty", second["id"]),
    ]
    sent = a_life()[3]
    (bought,) = [row for row in rows if row["id"] == "t4"]
    assert bought["sent"]["order"] == {"order_id": "o-1", "action": "placed", "amount": "19.99", "currency": "EUR"}
    assert (bought["occurred_at"], bought["time"]) == (sent.occurred_at, at(DAY_US + HOUR_US))
    assert (bought["source"], bought["type"], bought["channel"], bought["actor"]) == ("web", "noted", "web", "customer")
    assert bought["identities"] == ["customer_id:c-42", "order:shop/o-1"]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_touchpoints_of_one_moment_keep_the_stages_they_count_in(journey: Journey, limit: int) -> None:
    """Two plain touchpoints of one microsecond are alike but for their ids; what lies between them makes the stages differ."""
    journey.post(
        touchpoint("a", 0, "customer_id:c"),
        touchpoint("b", 0, "customer_id:c", stage="consideration"),
        touchpoint("c", 0, "customer_id:c"),
        touchpoint("d", HOUR_US, "customer_id:c"),
    )
    rows = journey.rows("/v1/persons/customer_id:c/touchpoints", "touchpoints", limit)
    assert [(row["id"], row["stage"]) for row in rows] == [
        ("d", "consideration"),
        ("c", "consideration"),
        ("b", "consideration"),
        ("a", "awareness"),
    ]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_touchpoint_that_came_twice_with_other_identities_is_listed_once(journey: Journey, limit: int) -> None:
    journey.post(
        touchpoint("1", 0, "anonymous_id:a", received_us=DAY_US),
        touchpoint("1", 0, "customer_id:c", "anonymous_id:a", received_us=2 * DAY_US),
        touchpoint("2", HOUR_US, "customer_id:c"),
    )
    rows = journey.rows("/v1/persons/customer_id:c/touchpoints", "touchpoints", limit)
    assert [(row["id"], row["identities"]) for row in rows] == [("2", ["customer_id:c"]), ("1", ["anonymous_id:a"])]
    assert journey.person("customer_id:c")["touchpoints"] == 2


def test_journeys_are_listed_and_filtered(journey: Journey) -> None:
    journey.post(
        *a_life(),
        touchpoint("v1", 100 * DAY_US, "customer_id:v", channel="store", stage="consideration"),
        touchpoint("v2", 101 * DAY_US, "customer_id:v", channel="web", stage="awareness"),
    )
    rows = journey.rows("/v1/journeys", "journeys", 1)
    assert JourneysAnswer(journeys=rows, next_cursor=None).model_dump()["journeys"] == rows
    assert [row["started_at"] for row in rows] == [at(110 * DAY_US), at(100 * DAY_US), at(0)]
    newest, visitor, oldest = rows
    assert (visitor["current_stage"], visitor["furthest_stage"], visitor["channel"]) == ("awareness", "consideration", "store")
    filtered: list[tuple[JSON, list[JSON]]] = [
        ({"stage": "awareness"}, [visitor]),
        ({"furthest": "purchase"}, [oldest]),
        ({"channel": "app"}, [newest]),
        ({"open": "true"}, [newest, visitor]),
        ({"open": "false"}, [oldest]),
        ({"since": at(100 * DAY_US)}, [newest, visitor]),
        ({"until": at(100 * DAY_US)}, [oldest]),
        ({"open": "true", "stage": "purchase"}, []),
    ]
    for query, expected in filtered:
        assert journey.rows("/v1/journeys", "journeys", 10, **query) == expected, query
    assert {row["person_id"] for row in (newest, oldest)} == {journey.person("customer_id:c-42")["person_id"]}


def test_cases_are_listed_and_filtered(journey: Journey) -> None:
    journey.post(*a_life(), touchpoint("v1", 5 * DAY_US, "customer_id:v", case=case("10", "opened"), system="zendesk"))
    rows = journey.rows("/v1/cases", "cases", 1)
    assert CasesAnswer(cases=rows, next_cursor=None).model_dump()["cases"] == rows
    assert [row["case_id"] for row in rows] == ["10", "9"]
    filtered: list[tuple[JSON, list[str]]] = [
        ({"resolved": "true"}, ["9"]),
        ({"resolved": "false"}, ["10"]),
        ({"topic": "returns"}, ["9"]),
        ({"case_id": "10", "system": "zendesk"}, ["10"]),
        ({"system": "shop"}, []),
        ({"since": at(5 * DAY_US)}, ["10"]),
        ({"until": at(5 * DAY_US)}, ["9"]),
    ]
    for query, expected in filtered:
        assert [row["case_id"] for row in journey.rows("/v1/cases", "cases", 10, **query)] == expected, query
    assert rows[1]["person_id"] == journey.person("customer_id:c-42")["person_id"]
    assert rows[1] == journey.person("customer_id:c-42")["journeys"][0]["cases"][0] | {"person_id": rows[1]["person_id"]}


def test_a_list_is_also_csv(journey: Journey) -> None:
    journey.post(*a_life())
    answer = journey.ask("/v1/journeys", {"limit": 1, "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["started_at"], row["open"]) == (at(110 * DAY_US), "true")
    rest = journey.ask("/v1/journeys", {"limit": 1, "cursor": answer.headers["x-waypost-next-cursor"]}, {"accept": "text/csv"})
    assert [row["started_at"] for row in csv.DictReader(io.StringIO(rest.text))] == [at(0)]
    assert "x-waypost-next-cursor" not in rest.headers


WRONG: list[tuple[str, dict[str, object], tuple[int, str]]] = [
    ("/v1/persons/customer_id:nobody", {}, (404, "unknown_person")),
    ("/v1/persons/customer_id:nobody/touchpoints", {}, (404, "unknown_person")),
    ("/v1/persons/person_id:018f3c1e-0000-7000-8000-000000000000", {}, (404, "unknown_person")),
    ("/v1/persons/person_id:7", {}, (422, "invalid_person_id")),
    ("/v1/persons/c-42", {}, (422, "invalid_namespace")),
    ("/v1/persons/Customer:c-42", {}, (422, "invalid_namespace")),
    ("/v1/persons/customer_id:null", {}, (422, "identity_of_nobody")),
    ("/v1/persons/customer_id:a%00b", {}, (422, "invalid_text")),
    ("/v1/persons/order:a%00b", {}, (422, "invalid_text")),
    ("/v1/persons/customer_id:c-42", {"at": "2026-01-01"}, (422, "invalid_time")),
    ("/v1/persons/customer_id:c-42", {"when": "now"}, (422, "unknown_parameter")),
    ("/v1/persons/customer_id:c-42/touchpoints", {"cursor": "x"}, (422, "invalid_cursor")),
    ("/v1/persons/customer_id:c-42/touchpoints", {"limit": 1001}, (422, "invalid_limit")),
    ("/v1/persons/customer_id:c-42/identities", {"limit": 0}, (422, "invalid_limit")),
    ("/v1/journeys", {"cursor": "WzFd"}, (422, "invalid_cursor")),
    ("/v1/journeys", {"stage": "sale"}, (422, "unknown_stage")),
    ("/v1/journeys", {"open": "yes"}, (422, "invalid_flag")),
    ("/v1/journeys", {"since": "yesterday"}, (422, "invalid_time")),
    ("/v1/journeys", {"channel": "a\0b"}, (422, "invalid_text")),
    ("/v1/journeys/018f3c1e-0000-7000-8000-000000000000", {}, (404, "unknown_journey")),
    ("/v1/journeys/7", {}, (404, "unknown_journey")),
    ("/v1/cases", {"resolved": "1"}, (422, "invalid_flag")),
    ("/v1/check/journey", {"sample": "some"}, (422, "invalid_sample")),
    ("/v1/journeys", {"format": "xml"}, (422, "unknown_format")),
]


def test_a_wrong_question_gets_a_clear_answer(journey: Journey) -> None:
    journey.post(*a_life())
    for path, query, expected in WRONG:
        assert journey.refused(path, **query) == expected, (path, query)


def test_a_token_is_waited_for_and_no_longer_than_asked(journey: Journey) -> None:
    journey.post(*a_life())
    later = journey.ask("/v1/journeys", {}, {"x-waypost-after": "t0-999", "x-waypost-timeout": "0"})
    assert (later.status_code, later.json()["code"]) == (504, "not_yet")
    for headers, code in (({"x-waypost-after": "soon"}, "invalid_token"), ({"x-waypost-timeout": "ages"}, "invalid_timeout")):
        wrong = journey.ask("/v1/journeys", {}, headers)
        assert (wrong.status_code, wrong.json()["code"]) == (422, code)


def mismatches(journey: Journey) -> float | None:
    return journey.registry.get_sample_value("waypost_check_mismatches", {"check": "journey"})


def test_a_recount_finds_nothing_wrong(journey: Journey) -> None:
    journey.post(*a_life(), touchpoint("v1", 5 * DAY_US, "customer_id:v", case=case("9", "message"), system="zendesk"))
    assert journey.get("/v1/check/journey", sample="all") == {"checked": 2, "mismatches": 0, "examples": []}
    assert journey.get("/v1/check/journey", sample=1)["checked"] == 1
    assert mismatches(journey) == 0


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE touchpoint SET owner_id = (SELECT root_id FROM person WHERE touchpoints = 1) WHERE id = 't2'", "owner"),
        ("UPDATE month SET facts = (SELECT facts FROM month ORDER BY root_id, month LIMIT 1)", "fact"),
        ("UPDATE month SET opening = (SELECT opening FROM month ORDER BY root_id, month DESC LIMIT 1)", "state before"),
        ("UPDATE person SET state = (SELECT state FROM person WHERE touchpoints = 1)", "state"),
        ("UPDATE person SET touchpoints = touchpoints + 1", "touchpoints"),
        ("UPDATE journey SET channel = 'smoke'", "journeys in lists"),
        ("DELETE FROM service_case", "cases in lists"),
    ],
)
def test_a_recount_finds_what_is_wrong(journey: Journey, database: Database, damage: str, what: str) -> None:
    journey.post(*a_life(), touchpoint("v1", 40 * DAY_US, "customer_id:v"))
    assert journey.get("/v1/check/journey", sample="all")["mismatches"] == 0
    with database.transaction() as tx:
        database.execute(tx, damage)
    found = journey.get("/v1/check/journey", sample="all")
    assert found["mismatches"] > 0
    assert any(what in example["what"] for example in found["examples"])
    assert mismatches(journey) == found["mismatches"]
