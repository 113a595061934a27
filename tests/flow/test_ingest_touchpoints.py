"""Touchpoints posted over HTTP are on the bus, and every mistake gets a clear answer. A real embedded bus, the whole application."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import resource
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from schemas import tokens, topics
from schemas.commands import Command
from services.ingest.store.sources import Source
from services.shared.bus import partition_of
from tests.flow.ingest_room import KEY, NOW_US, PARTITIONS, PURCHASE, Ingest


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    running = Ingest(tmp_path)
    yield running
    running.close()


def test_one_touchpoint_is_on_the_bus_before_it_is_accepted(ingest: Ingest) -> None:
    answer = ingest.post({**PURCHASE, "id": "t-1", "properties": {"note": "as sent"}})
    assert answer.status_code == 202
    body = answer.json()
    assert body == {
        "accepted": 1,
        "rejected": 0,
        "results": [{"index": 0, "status": "accepted", "id": "t-1"}],
        "token": body["token"],
    }
    ((key, value),) = ingest.values(topics.TOUCHPOINTS)
    assert key == b"customer_id:c-42"
    assert json.loads(value) == {
        **PURCHASE,
        "id": "t-1",
        "properties": {"note": "as sent"},
        "source": "shop",
        "system": "erp",
        "received_at": "2026-11-22T09:33:20.123456Z",
    }
    ((topic, partition),) = tokens.decode(body["token"])
    assert topic == topics.TOUCHPOINTS
    assert ingest.bus.end_offsets(topic)[partition] == 1


def test_a_trusted_alias_is_published_with_its_link_and_its_token_covers_both(ingest: Ingest) -> None:
    alias = {"id": "a-1", "type": "alias", "identities": {"customer_id": "new"}, "properties": {"previous_id": "customer_id:old"}}
    assert ingest.post(alias).json()["accepted"] == 1
    assert ingest.values(topics.COMMANDS) == []
    crm = ingest.room.sources.add(Source("crm", "crm", is_trusted=True))
    body = ingest.post(alias, key=crm).json()
    ((key, value),) = ingest.values(topics.COMMANDS)
    command = msgspec.json.decode(value, type=Command)
    assert (key, command.identities, command.by) == (b"customer_id:new", ["customer_id:new", "customer_id:old"], "crm")
    assert command.at == "2026-11-22T09:33:20.123456Z"
    (touchpoint_of_crm,) = [touchpoint for touchpoint in ingest.accepted() if touchpoint.source == "crm"]
    assert touchpoint_of_crm.previous == "customer_id:old"
    partition = partition_of(b"customer_id:new", PARTITIONS)
    wanted = {(topics.TOUCHPOINTS, partition): 1, (topics.COMMANDS, partition): 0}
    assert tokens.decode(body["token"]) == wanted


def test_an_array_ndjson_and_gzip_are_the_same(ingest: Ingest) -> None:
    items = [{**PURCHASE, "id": f"t-{n}"} for n in range(3)]
    lines = "\n".join(map(json.dumps, items)).encode()
    assert ingest.post(items).json()["accepted"] == 3
    assert ingest.post(lines).json()["accepted"] == 3
    assert ingest.post(lines, content_type="application/x-ndjson").json()["accepted"] == 3
    assert ingest.post(gzip.compress(lines), content_encoding="gzip").json()["accepted"] == 3
    assert sorted(touchpoint.id for touchpoint in ingest.accepted()) == sorted(["t-0", "t-1", "t-2"] * 4)


def test_one_bad_item_of_a_thousand_spoils_nobody_and_is_kept(ingest: Ingest) -> None:
    items: list[dict[str, Any]] = [{**PURCHASE, "id": f"t-{n}"} for n in range(1000)]
    items[499]["stage"] = "purchased"
    body = ingest.post(items).json()
    assert (body["accepted"], body["rejected"], len(body["results"])) == (999, 1, 1000)
    assert [result["index"] for result in body["results"]] == list(range(1000))
    refused = body["results"][499]
    assert (refused["id"], refused["status"], refused["code"], refused["pointer"]) == (
        "t-499",
        "rejected",
        "invalid_choice",
        "/stage",
    )
    (kept,) = ingest.rejected()
    assert json.loads(base64.b64decode(kept.body or "")) == items[499]
    assert (kept.source, kept.code, kept.room) == ("shop", "invalid_choice", "ingest")


def test_all_bad_is_422_and_kept(ingest: Ingest) -> None:
    answer = ingest.post([{"type": "x"}, 7])
    assert answer.status_code == 422
    assert [result["code"] for result in answer.json()["results"]] == ["no_identity", "wrong_type"]
    assert len(ingest.rejected()) == 2
    assert ingest.accepted() == []


def test_the_same_twice_in_a_request_is_a_duplicate(ingest: Ingest) -> None:
    one = {**PURCHASE, "id": "t-1"}
    with_email = {**one, "identities": {"customer_id": "c-42", "email": "a@b.example"}}
    body = ingest.post([one, one, with_email]).json()
    assert [result["status"] for result in body["results"]] == ["accepted", "duplicate", "duplicate"]
    assert body["accepted"] == 1
    assert sorted(len(touchpoint.identities) for touchpoint in ingest.accepted()) == [1, 2]


def test_a_dry_run_validates_and_stores_nothing(ingest: Ingest) -> None:
    body = ingest.post([{**PURCHASE, "id": "t-1"}, {"type": "x"}], "/v1/touchpoints?dry_run=true").json()
    assert [result["status"] for result in body["results"]] == ["accepted", "rejected"]
    assert body["token"] == ""
    assert ingest.values(topics.TOUCHPOINTS) == ingest.values(topics.REJECTED) == []
    assert ingest.post(PURCHASE, "/v1/touchpoints?dry_run=perhaps").json()["code"] == "invalid_parameter"


def test_an_idempotency_key_gives_a_retried_request_the_same_ids(ingest: Ingest) -> None:
    first = ingest.post([PURCHASE, PURCHASE], idempotency_key="order-7").json()
    again = ingest.post([PURCHASE, PURCHASE], idempotency_key="order-7").json()
    other = ingest.post([PURCHASE, PURCHASE], idempotency_key="order-8").json()
    ids = [[result["id"] for result in body["results"]] for body in (first, again, other)]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2]}) == 4
    assert ingest.post(PURCHASE, idempotency_key="k" * 256).json()["code"] == "invalid_idempotency_key"


def test_without_an_id_a_touchpoint_gets_a_time_ordered_one(ingest: Ingest) -> None:
    results = ingest.post([PURCHASE] * 50).json()["results"]
    ids = {result["id"] for result in results}
    assert len(ids) == 50
    assert {int(made[:8] + made[9:13], 16) for made in ids} == {NOW_US // 1000}


@pytest.mark.parametrize(
    "post",
    [
        lambda ingest: ingest.post(PURCHASE, key=KEY),
        lambda ingest: ingest.post(PURCHASE, key=None, authorization="Basic " + base64.b64encode(f"{KEY}:".encode()).decode()),
        lambda ingest: ingest.post(PURCHASE, key=None, x_write_key=KEY),
        lambda ingest: ingest.post(PURCHASE, f"/v1/touchpoints?write_key={KEY}", key=None),
        lambda ingest: ingest.post(PURCHASE, f"/v1/touchpoints?writeKey={KEY}", key=None),
        lambda ingest: ingest.post({**PURCHASE, "write_key": KEY}, key=None),
        lambda ingest: ingest.post({**PURCHASE, "writeKey": KEY}, key=None),
        lambda ingest: ingest.post({**PURCHASE, "writeKey": KEY}, key="c" + "x" * 24, x_write_key="unknown"),
    ],
)
def test_a_write_key_is_looked_for_everywhere_until_a_known_one_is_found(
    ingest: Ingest, post: Callable[[Ingest], httpx.Response]
) -> None:
    assert post(ingest).status_code == 202
    (stored,) = ingest.values(topics.TOUCHPOINTS)
    assert KEY.encode() not in stored[1]


def test_an_unknown_or_revoked_key_is_401(ingest: Ingest) -> None:
    assert ingest.post(PURCHASE, key="c" + "9" * 24).json()["code"] == "unknown_write_key"
    assert ingest.post(PURCHASE, key=None).status_code == 401
    ingest.room.sources.revoke("shop")
    assert ingest.post(PURCHASE).status_code == 401
    assert ingest.accepted() == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "empty_body"),
        (b" \r\n ", {}, 400, "empty_body"),
        (b"\xef\xbb\xbf", {}, 400, "empty_body"),
        (b"[]", {}, 400, "empty_batch"),
        (b"hello", {}, 400, "not_touchpoints"),
        (b'"text"', {}, 400, "not_touchpoints"),
        (b'[{"type":"x"},{"ty', {}, 400, "invalid_json"),
        (b'{"type":"x"} tail', {}, 400, "invalid_json"),
        (b'{"type":"x","identities":{"customer_id":"c', {}, 400, "invalid_json"),
        (b'{"type":\n"x"', {}, 400, "invalid_json"),
        (gzip.compress(b'{"type":"x"}' * 9, mtime=0)[:-9], {"content-encoding": "gzip"}, 400, "invalid_gzip"),
        (b"{}", {"content-encoding": "gzip"}, 400, "invalid_gzip"),
        (gzip.compress(b"[" + b" " * 50_000_000 + b"]", mtime=0), {"content-encoding": "gzip"}, 413, "body_too_large"),
        (b"[" + b" " * (500 * 1024) + b"]", {}, 413, "body_too_large"),
        (b"[" + b",".join([b"1"] * 1001) + b"]", {}, 413, "too_many_touchpoints"),
        (b"{}", {"content-encoding": "br"}, 415, "unsupported_encoding"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_one_shape(
    ingest: Ingest, body: bytes, headers: Mapping[str, str], status: int, code: str
) -> None:
    answer = ingest.call("POST", "/v1/touchpoints", body, {"x-write-key": KEY, **headers})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message", "detail"}


def test_a_wrong_method_and_a_wrong_path(ingest: Ingest) -> None:
    answer = ingest.call("GET", "/v1/touchpoints", None, {})
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "method_not_allowed", "OPTIONS, POST")
    assert (
        ingest.call("POST", "/v1/touchpoints/", b"{}", {"host": "localhost", "content-type": "application/json"}).status_code
        == 404
    )


def test_a_bus_that_is_away_means_come_again_and_never_accepted(ingest: Ingest) -> None:
    ingest.bus.close()
    answer = ingest.post([{**PURCHASE, "id": "t-1"}, {"type": "x"}])
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    body = answer.json()
    assert (body["accepted"], body["rejected"], body["token"]) == (0, 0, "")
    assert [result["status"] for result in body["results"]] == ["retry", "retry"]
    ready = ingest.call("GET", "/health/ready", None, {})
    assert ready.status_code == 503
    assert ready.json()["checks"]["bus"] != "ok"


def test_a_page_may_post_from_the_origins_that_its_source_lists(ingest: Ingest) -> None:
    own = ingest.room.sources.add(Source("site", "site", ("https://shop.example",)))
    page = ingest.post(PURCHASE, key=own, origin="https://shop.example")
    assert (page.status_code, page.headers["access-control-allow-origin"]) == (202, "https://shop.example")
    stranger = ingest.post(PURCHASE, key=own, origin="https://evil.example")
    assert (stranger.status_code, stranger.json()["code"]) == (403, "origin_not_allowed")
    assert ingest.post(PURCHASE, origin="https://any.example").status_code == 202
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    preflight = ingest.call("OPTIONS", "/v1/touchpoints", None, {**asked, "access-control-request-headers": "authorization"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == "authorization"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    refused = ingest.call("OPTIONS", f"/v1/touchpoints?write_key={own}", None, {**asked, "origin": "https://evil.example"})
    assert refused.status_code == 403


def test_the_route_in_the_document_behaves_like_the_door(ingest: Ingest) -> None:
    body = json.dumps([{**PURCHASE, "id": "t-1"}]).encode()
    for door in (True, False):
        answer = ingest.call("POST", "/v1/touchpoints", body, {"x-write-key": KEY, "origin": "https://a.example"}, door)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert answer.headers["content-type"] == "application/json"
    document = ingest.call("GET", "/openapi.json", None, {"host": "localhost"}).json()
    assert set(document["paths"]["/v1/touchpoints"]) == {"post"}


def test_schemas_are_published(ingest: Ingest) -> None:
    answer = ingest.call("GET", "/schemas/touchpoint/1", None, {})
    assert answer.json()["title"] == "Touchpoint"
    assert ingest.call("GET", "/schemas/asyncapi/1", None, {}).json()["asyncapi"] == "3.0.0"
    assert ingest.call("GET", "/schemas/nothing/1", None, {}).json()["code"] == "unknown_schema"
    assert ingest.call("GET", "/schemas/touchpoint/2", None, {}).status_code == 404


def test_everything_is_counted(ingest: Ingest) -> None:
    ingest.post([{**PURCHASE, "id": "t-1"}, {**PURCHASE, "id": "t-1"}, {"type": "x"}])
    ingest.post(b"")
    text = ingest.call("GET", "/metrics", None, {}).text
    assert 'waypost_ingest_touchpoints_total{result="accepted",source="shop"} 1.0' in text
    assert 'waypost_ingest_touchpoints_total{result="duplicate",source="shop"} 1.0' in text
    assert 'waypost_ingest_touchpoints_total{result="rejected",source="shop"} 1.0' in text
    assert 'waypost_ingest_rejected_total{code="no_identity"} 1.0' in text
    assert 'waypost_ingest_refused_requests_total{code="empty_body"} 1.0' in text
    assert "waypost_ingest_publish_seconds_count 1.0" in text


def test_requests_in_flight_each_get_their_own_answer(ingest: Ingest) -> None:
    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(ingest.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers={"x-write-key": KEY}) as client:
            posts = (client.post("/v1/touchpoints", json={**PURCHASE, "id": f"t-{n}"}) for n in range(200))
            return await asyncio.gather(*posts)

    answers = asyncio.run(run())
    assert [answer.json()["results"][0]["id"] for answer in answers] == [f"t-{n}" for n in range(200)]
    assert len(ingest.accepted()) == 200


def test_a_database_that_is_away_keeps_nobody_from_posting(tmp_path: Path) -> None:
    away = Ingest(tmp_path, database="postgresql://waypost@127.0.0.1:1/none", write_keys=f"shop={KEY}")
    assert away.post(PURCHASE).status_code == 202
    checks = away.call("GET", "/health/ready", None, {}).json()["checks"]
    assert checks["bus"] == "ok"
    assert checks["ingest database"].startswith("the database does not answer")
    away.close()


def test_a_key_is_called_unknown_only_once_the_sources_were_read(tmp_path: Path) -> None:
    """A process that starts while its database is away would turn good senders away for ever: an SDK drops what gets a 401."""
    away = Ingest(tmp_path, database="postgresql://waypost@127.0.0.1:1/none", write_keys=f"shop={KEY}")
    answer = away.post(PURCHASE, key="c" + "9" * 24)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert away.accepted() == []
    away.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=60) | st.sampled_from([json.dumps(PURCHASE).encode(), b"[1,{}]", b'{"type":"x"}\n7']),
    packed=st.booleans(),
    headers=st.fixed_dictionaries(
        {},
        optional={
            "content-encoding": st.sampled_from(["gzip", "br", "identity", "\x7f"]),
            "content-type": st.sampled_from(["application/x-ndjson", "text/plain", ";"]),
            "idempotency-key": st.text("a b", max_size=4),
            "authorization": st.sampled_from(["Basic", "Basic %", "Bearer", "Basic /w==", "x y z"]),
            "origin": st.sampled_from(["null", "https://a.example"]),
        },
    ),
    query=st.sampled_from(["", "?dry_run=1", "?dry_run=%ff", "?write_key=%00&writeKey=x", "?&&="]),
)
def test_arbitrary_requests_are_answered_and_never_with_500(
    ingest: Ingest, body: bytes, packed: bool, headers: dict[str, str], query: str
) -> None:
    content = gzip.compress(body) if packed else body
    answer = ingest.call("POST", f"/v1/touchpoints{query}", content, {"x-write-key": KEY, **headers})
    assert answer.status_code in (202, 400, 413, 415, 422)
    assert set(answer.json()) in ({"accepted", "rejected", "results", "token"}, {"code", "message", "detail"})


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """What a full disk does, to this process alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_nothing_that_was_accepted(ingest: Ingest, tmp_path: Path) -> None:
    def items(name: str) -> list[dict[str, Any]]:
        return [{**PURCHASE, "id": f"{name}-{n}", "properties": {"note": "x" * 2000}} for n in range(100)]

    assert ingest.post(items("before")).status_code == 202
    with files_no_longer_than(max(file.stat().st_size for file in tmp_path.iterdir()) + 4096):
        answer = ingest.post(items("full"))
        assert answer.status_code == 503
        assert {result["status"] for result in answer.json()["results"]} == {"retry"}
    assert ingest.post(items("after")).status_code == 202
    stored = [touchpoint.id for touchpoint in ingest.accepted()]
    assert {f"{name}-{n}" for name in ("before", "after") for n in range(100)} <= set(stored)
    assert len(stored) == len(set(stored))


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    """A real server in this event loop; gives its port."""
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=5)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


def test_over_a_real_connection_a_body_over_the_limit_and_one_cut_off(ingest: Ingest) -> None:
    async def run() -> tuple[httpx.Response, httpx.Response]:
        async with serving(ingest.app) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /v1/touchpoints HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[")
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"x-write-key": KEY}) as client:
                large = await client.post("/v1/touchpoints", content=b" " * 3_000_000)
                return large, await client.post("/v1/touchpoints", json=PURCHASE)

    large, good = asyncio.run(run())
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert good.status_code == 202
    assert len(ingest.accepted()) == 1
