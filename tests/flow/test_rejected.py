"""What is refused is found again, byte for byte, with its reason; on SQLite and on PostgreSQL."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import topics
from schemas.commands import Command, Done
from schemas.rejected import RejectedRecord, original
from schemas.times import DAY_US, format_time
from services.ingest.upkeep import Upkeep
from services.shared.bus import MAX_RECORD_BYTES, Outgoing, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.log import Log
from tests.flow.ingest_room import NOW_US, PARTITIONS, Ingest, all_rows, bytes_of, publish, told

ITEMS = st.sampled_from(
    [
        b'{"type":"x"}',
        b'{"type":"x","identities":{"customer_id":"c"}}',
        b'{"type":"x","identities":{"customer_id":"c"},"note":1}',
        b'{"type": "\xff"}',
        b'{"type":"x","type":"y"}',
        b'{"type":"\\u0000"}',
        b"7",
        b"-",
        b"[" * 40 + b"]" * 40,
        b'{"id": "own", "type": 1.50}',
        b'{"type":"x","properties":{"long":"' + b"y" * 40_000 + b'"}}',
    ]
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(ITEMS, min_size=1, max_size=12), shape=st.sampled_from(["array", "lines", "gzip"]))
def test_every_refused_item_of_any_request_is_found_again_byte_for_byte(
    consuming: Ingest, items: list[bytes], shape: str
) -> None:
    before = Counter(map(told, all_rows(consuming)))
    body = b"\n".join(items) if shape == "lines" else b"[" + b",".join(items) + b"]"
    headers = {"content_type": "application/x-ndjson"} if shape == "lines" else {}
    answer = consuming.post(gzip.compress(body) if shape == "gzip" else body, **headers).json()
    refused = [
        (index, items[index], result["code"], result["message"], result["pointer"])
        for index, result in enumerate(answer["results"])
        if result["status"] == "rejected"
    ]
    assert Counter(map(told, all_rows(consuming, answer["token"]))) - before == Counter(refused)


def test_filters_find_what_they_say_and_counts_are_those_of_the_filter(consuming: Ingest) -> None:
    def reject(source: str, code: str, at_us: int) -> bytes:
        at = format_time(at_us)
        record = RejectedRecord(
            source=source, code=code, message="m", pointer="", rejected_at=at, room="journey", topic=topics.TOUCHPOINTS, partition=0,
            offset=at_us, **original(f"{source} {code} {at_us}".encode()),
        )  # fmt: skip
        return msgspec.json.encode(record)

    early = NOW_US - DAY_US
    token = publish(
        consuming,
        reject("a", "wrong", early),
        reject("a", "wrong", early + 1),
        reject("a", "bad", early + 2),
        reject("b", "wrong", early + 3),
    )

    def times(**query: object) -> list[int]:
        return [row["offset"] - early for row in all_rows(consuming, token, room="journey", **query)]

    assert times() == [3, 2, 1, 0]
    assert times(source="a") == [2, 1, 0]
    assert times(source="a", code="wrong") == [1, 0]
    assert times(since=format_time(early + 1), until=format_time(early + 3)) == [2, 1]
    assert times(replayed="true") == []
    assert times(replayed="false", code="bad") == [2]
    page = consuming.get("/v1/rejected", token, room="journey", limit=1)
    assert (page["total"], page["codes"], page["sources"]) == (4, {"bad": 1, "wrong": 3}, {"a": 3, "b": 1})
    assert page["rejected"][0]["body"] == f"b wrong {early + 3}"
    text = consuming.call("GET", "/v1/rejected?room=journey&format=csv", None, {"host": "localhost"}).text
    assert [line.split(",")[2:4] for line in text.splitlines()[1:]] == [
        ["b", "wrong"],
        ["a", "bad"],
        ["a", "wrong"],
        ["a", "wrong"],
    ]


@pytest.mark.parametrize("query", ["since=yesterday", "replayed=perhaps", "cursor=x", "limit=0", "sauce=shop", "source=a%00"])
def test_a_question_that_makes_no_sense_is_refused(consuming: Ingest, query: str) -> None:
    answer = consuming.call("GET", f"/v1/rejected?{query}", None, {"host": "localhost"})
    assert (answer.status_code, set(answer.json())) == (422, {"code", "message", "detail"})


def test_a_room_that_says_it_twice_is_heard_once(consuming: Ingest) -> None:
    """Journey's batch may be tried again after it has published what it refuses."""
    place = {"topic": topics.TOUCHPOINTS, "partition": 1, "offset": 77}
    twice = [
        msgspec.json.encode({"source": "twice", "code": "c", "message": "m", "pointer": "", "room": "journey", **place} | {
            "rejected_at": format_time(NOW_US + n), **original(b"same")
        })
        for n in range(2)
    ]  # fmt: skip
    assert len(all_rows(consuming, publish(consuming, *twice), source="twice")) == 1


POISON: list[bytes | None] = [
    None,
    b"",
    b"\xff\x00",
    b"no JSON",
    b"[" * 100_000,
    b'{"source": 7}',
    b"null",
    b"\0" * 900_000,
    msgspec.json.encode({"source": "\0", "code": "\0" * 9_000, "message": "\0", "pointer": "", "rejected_at": "yesterday", "room": ""}),
    msgspec.json.encode(
        {"source": "s", "code": "c", "message": "", "pointer": "", "rejected_at": format_time(0), "room": "r", "partition": -1, "body": ""}
    ),
    msgspec.json.encode(
        {"source": "s", "code": "c", "message": "", "pointer": "", "rejected_at": format_time(0), "room": "r", "body": "%"}
    ),
    msgspec.json.encode(
        {"source": "s", "code": "c", "message": "", "pointer": "", "rejected_at": format_time(0), "room": "r", "size": 2**63}
    ),
]  # fmt: skip


@pytest.mark.parametrize("key", [b"", b"\xff\x00", b"k" * 90_000], ids=["empty key", "binary key", "long key"])
def test_a_poisonous_record_of_the_topic_itself_is_listed_and_stops_nothing(consuming: Ingest, key: bytes) -> None:
    before = Counter(map(bytes_of, all_rows(consuming, code="invalid_record")))
    good = msgspec.json.encode({"source": "after", "code": "c", "message": "m", "pointer": "", "rejected_at": format_time(NOW_US),
                                "room": "journey", **original(b"good " + key[:1])})  # fmt: skip
    token = publish(consuming, *POISON, good, key=key)
    rows = all_rows(consuming, token, code="invalid_record")
    assert Counter(map(bytes_of, rows)) - before == Counter(value or b"" for value in POISON)
    assert {(row["room"], row["topic"]) for row in rows} == {("ingest", topics.REJECTED)}
    assert b"good " + key[:1] in map(bytes_of, all_rows(consuming, source="after"))
    counted = consuming.registry.get_sample_value("waypost_ingest_rejected_total", {"code": "invalid_record"})
    assert counted == len(rows)
    assert consuming.call("GET", "/health/ready", None, {}).status_code == 200


def test_a_record_whose_texts_no_database_takes_is_listed_all_the_same(consuming: Ingest) -> None:
    strange = {
        "source": "\0s" * 9_000,
        "code": "c\0",
        "message": "m" * 50_000,
        "pointer": "/\0",
        "room": "\0",
        "id": "\0" * 300,
    }
    token = publish(
        consuming, msgspec.json.encode({**strange, "rejected_at": format_time(NOW_US), "system": "\0", **original(b"\0")})
    )
    (row,) = all_rows(consuming, token, code="c\ufffd")
    assert (row["source"][:2], len(row["source"]), row["room"], row["body"]) == ("\ufffds", 200, "\ufffd", "\0")


@contextmanager
def a_database_that_refuses(consuming: Ingest, source: str) -> Iterator[None]:
    """Rows of this source break a rule that nobody foresaw."""
    database = consuming.room._database
    statements = (
        [
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE unique_violation; END $$",
            f"CREATE TRIGGER refusing BEFORE INSERT ON rejected FOR EACH ROW WHEN (NEW.source = '{source}') EXECUTE FUNCTION refuse()",
        ]
        if database.is_postgres
        else [
            f"CREATE TRIGGER refusing BEFORE INSERT ON rejected WHEN NEW.source = '{source}' BEGIN SELECT raise(ABORT, 'no'); END",
        ]
    )
    with database.transaction() as tx:
        for statement in statements:
            tx.exec_driver_sql(statement)
    yield
    with database.transaction() as tx:
        tx.exec_driver_sql("DROP TRIGGER refusing" + (" ON rejected" if database.is_postgres else ""))


def test_a_record_that_cannot_even_be_stored_is_counted_and_left_out(consuming: Ingest) -> None:
    """First its bytes are tried as they are; only if the database does not take those either, it stays on the bus alone."""
    says = {"source": "cursed", "code": "c", "message": "m", "pointer": "", "room": "journey", "rejected_at": format_time(NOW_US)}
    cursed = msgspec.json.encode({**says, **original(b"x")})
    good = msgspec.json.encode({**says, "source": "blessed", **original(b"y")})
    with a_database_that_refuses(consuming, "cursed"):
        token = publish(consuming, cursed, good) + "," + publish(consuming, cursed, good, key=b"cursed")
        assert len(all_rows(consuming, token, source="blessed")) == 2
    (row,) = all_rows(consuming, code="not_processable")
    assert (row["source"], bytes_of(row)) == ("key", cursed)
    assert consuming.registry.get_sample_value("waypost_ingest_rejected_total", {"code": "not_storable"}) == 1
    assert all_rows(consuming, source="cursed") == []


def test_bytes_that_were_too_many_for_a_second_record_are_fetched_from_their_place(consuming: Ingest) -> None:
    value = b"\xff" * (MAX_RECORD_BYTES - 10)
    with closing(consuming.bus.publisher()) as publisher:
        ((partition, offset),) = publisher.publish([Outgoing(topics.TOUCHPOINTS, b"big", value)]).result(10)
    place = {"topic": topics.TOUCHPOINTS, "partition": partition, "offset": offset}
    lost = {**place, "offset": offset + 1000}
    records = [
        msgspec.json.encode({"source": "big", "code": "c", "message": "m", "pointer": "", "rejected_at": format_time(NOW_US),
                             "room": "journey", **at, **original(value)})
        for at in (place, lost)
    ]  # fmt: skip
    rows = {row["offset"]: row for row in all_rows(consuming, publish(consuming, *records), source="big")}
    assert bytes_of(rows[offset]) == value
    gone = rows[offset + 1000]
    assert (gone["body"], gone["body_base64"], gone["size"]) == (None, None, len(value))
    assert gone["sha256"] == hashlib.sha256(value).hexdigest()


def test_who_is_erased_is_in_no_rejected_record_and_the_bus_is_told_how_many_there_were(consuming: Ingest) -> None:
    def post(day: int, email: str) -> str:
        at = format_time(NOW_US + day * DAY_US)
        return str(consuming.post([{"type": "x", "identities": {"email": email}, "occurred_at": at, "oops": 1}]).json()["token"])

    def left() -> list[str]:
        rows = all_rows(consuming, ",".join(sent), code="unknown_field")
        return sorted(body["identities"]["email"] for row in rows if "oops" in (body := json.loads(row["body"])))

    def done() -> list[Done]:
        return [msgspec.json.decode(value, type=Done) for _, value in consuming.values(topics.DONE)]

    sent = [post(-1, "Ann@a.example"), post(-1, "bob@b.example")]
    assert left() == ["Ann@a.example", "bob@b.example"]
    command = Command(id="k-9", action="erase", identities=["email:ann@a.example"], by="sam", at=format_time(NOW_US - 1))
    other = Command(
        id="k-10", action="link", identities=["email:bob@b.example", "customer_id:c"], by="sam", at=format_time(NOW_US)
    )
    sent += [publish(consuming, msgspec.json.encode(one), topic=topics.COMMANDS) for one in (other, command)]
    assert left() == ["bob@b.example"]
    consuming.now_us += 5 * DAY_US
    sent += [post(-1, "ann@A.example"), post(4, "ann@a.example")]
    assert left() == ["ann@a.example", "bob@b.example"]
    publish_and_wait(consuming)
    said = done()
    assert {(one.command, one.room) for one in said} == {("k-9", "ingest")}
    assert [one.removed for one in said] == [{"rejected_records": 1}, {"rejected_records": 2}]
    consuming.now_us = NOW_US


def publish_and_wait(consuming: Ingest) -> None:
    """Once a later batch is stored, everything that an earlier one had to say is said."""
    all_rows(consuming, consuming.post([{"type": "later"}]).json()["token"])


@pytest.mark.parametrize("value", [value for value in POISON if value is None or len(value) < 900_000])
def test_a_poisonous_command_is_left_to_journey_and_stops_nothing(consuming: Ingest, value: bytes | None) -> None:
    before = consuming.get("/v1/rejected")["total"]
    command = Command(id="k-11", action="erase", identities=["email:carl@c.example"], by="sam", at=format_time(NOW_US))
    strange = [
        msgspec.json.encode(msgspec.structs.replace(command, at="now")),
        msgspec.json.encode(msgspec.structs.replace(command, identities=["nobody", "\0:x"])),
    ]
    token = publish(consuming, value, *strange, topic=topics.COMMANDS, key=b"")
    assert consuming.get("/v1/rejected", token)["total"] == before
    assert consuming.call("GET", "/health/ready", None, {}).status_code == 200


def test_what_is_older_than_it_may_get_is_deleted_a_little_at_a_time(consuming: Ingest) -> None:
    def reject(n: int) -> bytes:
        return msgspec.json.encode({"source": "old", "code": "c", "message": "m", "pointer": "", "room": "journey",
                                    "rejected_at": format_time(NOW_US - 60 * DAY_US + n), **original(b"%d" % n)})  # fmt: skip

    assert len(all_rows(consuming, publish(consuming, *map(reject, range(1_200))), source="old")) == 1_200
    others = consuming.get("/v1/rejected")["total"] - 1_200
    log = Log("ingest", lambda: NOW_US)
    database = consuming.room._database
    assert Upkeep(database, 60, lambda: NOW_US, log).expire() == 0
    assert Upkeep(database, 60, lambda: NOW_US + 1_100, log).expire() == 1_100
    assert Upkeep(database, 30, lambda: NOW_US, log).expire() == 100
    assert consuming.get("/v1/rejected")["total"] == others


def test_what_a_recreated_or_expired_topic_still_holds_is_read_from_its_first_record_on(tmp_path: Path) -> None:
    def reject(source: str) -> bytes:
        return msgspec.json.encode({"source": source, "code": "c", "message": "m", "pointer": "", "room": "journey",
                                    "rejected_at": format_time(NOW_US), **original(source.encode())})  # fmt: skip

    with closing(Ingest(tmp_path)) as first:
        first.room.start()
        assert len(all_rows(first, publish(first, *map(reject, ("a", "b", "c"))))) == 3
        first.room.consumer.stop()
        first.bus.delete(topics.REJECTED)
        first.bus.create([TopicSpec(topics.REJECTED, PARTITIONS, retention_s=1)])
        publish(first, reject("expired"))
    with closing(EmbeddedBus(tmp_path / "bus.db", clock=lambda: NOW_US + 400 * DAY_US)) as later:
        later.keep_house()
    with closing(Ingest(tmp_path)) as second:
        second.room.start()
        token = publish(second, *map(reject, "defgh"))  # further than the topic before it had come, which the first room had read
        assert {row["source"] for row in all_rows(second, token)} == set("abcdefgh")
        assert second.call("GET", "/health/ready", None, {}).status_code == 200


def test_no_byte_of_who_is_erased_is_left_in_the_embedded_database(tmp_path: Path) -> None:
    name = "zoe.quite-unique@a.example"
    with closing(Ingest(tmp_path)) as ingest:
        ingest.room.start()
        items = [{"type": "x", "identities": {"email": name}, "oops": n} for n in range(50)]
        assert len(all_rows(ingest, ingest.post(items).json()["token"])) == 50
        command = Command(id="k-12", action="erase", identities=[f"email:{name}"], by="sam", at=format_time(NOW_US))
        assert all_rows(ingest, publish(ingest, msgspec.json.encode(command), topic=topics.COMMANDS)) == []
        publish_and_wait(ingest)
        files = list(tmp_path.glob("ingest.db*"))
        assert files
        assert all(name.encode() not in file.read_bytes() for file in files)
