"""What every room's HTTP side shares."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry
from starlette.responses import Response

from services.shared.config import load
from services.shared.errors import Misconfigured, Rejected, Unavailable
from services.shared.http import Access, Check, Problem, create_app, csv_answer, wants_csv
from services.shared.http.guard import hashed

ROWS: list[dict[str, object]] = [
    {"stage": "purchase", "time": {"n": 2, "p50": -1.5}, "open": None},
    {"stage": "=1+1", "time": {"n": 0}, "tags": ["a"]},
]


def _router() -> APIRouter:
    router = APIRouter()

    @router.get("/v1/rows")
    async def rows(request: Request) -> Any:
        return csv_answer(ROWS, "rows") if wants_csv(request) else ROWS

    @router.get("/v1/numbers/{number}")
    async def numbers(number: int) -> int:
        if number == 0:
            raise Unavailable("the bus is away", retry_after_s=7)
        if number == 1:
            raise Rejected("invalid_token", "send it as it was given", "/token")
        if number == 2:
            raise Problem(409, "conflict", "read it again", {"version": 3})
        return number // (number - 3)

    @router.post("/v1/commands")
    async def commands(request: Request) -> int:
        return len(await request.body())

    return router


async def _door(scope: Any, receive: Any, send: Any) -> None:
    await Response("through the door")(scope, receive, send)


def ask(
    method: str,
    path: str,
    *,
    access: Access | None = None,
    checks: tuple[Check, ...] = (),
    host: str = "localhost:8000",
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Response:
    async def run() -> httpx.Response:
        app = create_app(
            [_router()], checks, CollectorRegistry(), access or Access(), open_paths=["/v1/open/*"], doors={"/v1/door": _door}
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}") as client:
            return await client.request(method, path, headers=headers, content=content)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/rows/", 404, "not_found"),
        ("DELETE", "/v1/rows", 405, "method_not_allowed"),
        ("GET", "/v1/numbers/x", 422, "invalid_request"),
        ("GET", "/v1/numbers/0", 503, "unavailable"),
        ("GET", "/v1/numbers/1", 422, "invalid_token"),
        ("GET", "/v1/numbers/2", 409, "conflict"),
        ("GET", "/v1/numbers/3", 500, "internal_error"),
        ("GET", "/v1/rows?format=xml", 422, "unknown_format"),
    ],
)
def test_every_error_has_the_one_shape(method: str, path: str, status: int, code: str) -> None:
    answer = ask(method, path)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert set(body) == {"code", "message", "detail"}
    assert body["message"]


def test_a_bus_that_is_away_says_when_to_come_again() -> None:
    assert ask("GET", "/v1/numbers/0").headers["retry-after"] == "7"


def test_a_body_over_the_limit_is_413() -> None:
    answer = ask("POST", "/v1/commands", headers={"content-type": "application/json"}, content=b"x" * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_page_on_another_site_reaches_nothing() -> None:
    assert ask("GET", "/v1/rows", host="evil.example").json()["code"] == "host_not_allowed"
    assert ask("GET", "/v1/rows", host="kpis.example", access=Access(hosts=frozenset({"kpis.example"}))).status_code == 200
    assert ask("GET", "/v1/rows", host="[::1]:8000").status_code == 200
    answer = ask("POST", "/v1/commands", headers={"content-type": "text/plain"}, content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (415, "json_only")


def test_open_paths_and_doors_answer_any_host() -> None:
    assert ask("GET", "/v1/open/anything", host="shop.example").status_code == 404
    assert ask("GET", "/health/live", host="10.0.0.9").json() == {"live": True}
    assert ask("PUT", "/v1/door", host="shop.example").text == "through the door"


def test_tokens_decide_who_reads_and_who_commands() -> None:
    access = Access(read=frozenset({hashed("r")}), admin=frozenset({hashed("a")}))

    def status(method: str, token: str | None) -> int:
        headers = {"content-type": "application/json"} | ({} if token is None else {"authorization": f"Bearer {token}"})
        path = "/v1/rows" if method == "GET" else "/v1/commands"
        return ask(method, path, access=access, headers=headers).status_code

    assert [status("GET", token) for token in (None, "x", "r", "a")] == [401, 401, 200, 200]
    assert [status("POST", token) for token in (None, "x", "r", "a")] == [401, 401, 403, 200]
    assert ask("GET", "/docs", access=access).status_code == 200


def test_a_server_that_others_reach_needs_tokens() -> None:
    with pytest.raises(Misconfigured, match="WAYPOST_READ_TOKENS"):
        Access.of(load(host="0.0.0.0"))
    access = Access.of(load(host="0.0.0.0", read_tokens="r, s", admin_tokens="a", allowed_hosts="kpis.example:443"))
    assert access == Access(frozenset({hashed("r"), hashed("s")}), frozenset({hashed("a")}), frozenset({"kpis.example"}))


def test_ready_names_what_is_wrong() -> None:
    def away() -> None:
        raise Unavailable("no broker answers")

    assert ask("GET", "/health/ready").json() == {"ready": True, "checks": {}}
    answer = ask("GET", "/health/ready", checks=(Check("bus", away), Check("database", lambda: None)))
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"bus": "no broker answers", "database": "ok"}}


def test_rows_come_as_csv_when_asked_for() -> None:
    by_query, by_header = ask("GET", "/v1/rows?format=csv"), ask("GET", "/v1/rows", headers={"accept": "text/csv"})
    assert by_query.text == by_header.text
    assert by_query.text.splitlines() == ["stage,time.n,time.p50,open,tags", "purchase,2,-1.5,,", '\'=1+1,0,,,"[""a""]"']
