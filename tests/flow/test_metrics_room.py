"""The metrics room on a real bus and a real database, asked over HTTP."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from schemas import tokens
from schemas.facts import (
    WATERMARK_KEY,
    Amount,
    Cohort,
    Day,
    Ended,
    Fact,
    Item,
    OrderFact,
    PersonMonth,
    Step,
    Touched,
    Watermark,
    month_key,
)
from schemas.times import DAY_US, parse_time_us
from schemas.topics import JOURNEYS, REJECTED, TOUCHPOINTS
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.main import MetricsRoom, build
from services.metrics.pages import page
from services.metrics.store.rebuilding import rebuild
from services.shared.bus import Bus, Outgoing, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import load
from services.shared.db import Database, sqlite_url
from services.shared.errors import Misconfigured
from services.shared.http import Access, create_app
from tests.parts.postgres import Postgres

PARTITIONS = 3
NOW_US = parse_time_us("2026-03-01T12:00:00Z")


def us(text: str) -> int:
    return parse_time_us(text)


class Client:
    """Asks an application as a server on this machine would be asked."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://localhost") as client:
                return await client.get(path, headers=headers)

        return asyncio.run(asked())


class Room:
    """A running room with a client, and a stand-in for journey: it publishes what journey would."""

    def __init__(self, room: MetricsRoom, bus: Bus, client: Client) -> None:
        self.room, self.bus, self.client = room, bus, client
        self._publisher = bus.publisher()
        self._passed = 0

    def publish(self, *records: Outgoing) -> str:
        """Publish records and then a watermark in every partition; returns the token that it passes."""
        self._passed += 1
        body = msgspec.json.encode(Watermark(watermark={TOUCHPOINTS: {"0": self._passed}}))
        marks = [Outgoing(JOURNEYS, WATERMARK_KEY, body, partition) for partition in range(PARTITIONS)]
        self._publisher.publish([*records, *marks]).result(10)
        return tokens.encode([(TOUCHPOINTS, 0, self._passed - 1)])

    def count(self, *records: Outgoing) -> None:
        """Publish records and wait until they are counted."""
        self.get("/v1/check/metrics", self.publish(*records))

    def get(self, path: str, after: str | None = None) -> Any:
        answer = self.client.get(path, headers={"X-Waypost-After": after} if after else {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        self._publisher.close()


def month(version: int, *facts: Fact, person_id: str = "ann", gone: bool = False) -> Outgoing:
    published = PersonMonth(person_id=person_id, month="2026-01", version=version, facts=list(facts), gone=gone)
    return Outgoing(JOURNEYS, month_key(person_id, "2026-01"), msgspec.json.encode(published))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "metrics.sqlite")
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(EmbeddedBus(tmp_path / "bus.sqlite")) as made:
        made.create([TopicSpec(JOURNEYS, PARTITIONS, compacted=True), TopicSpec(REJECTED, PARTITIONS)])
        yield made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database(url, "metrics")) as made:
        yield made


@pytest.fixture
def room(bus: Bus, database: Database) -> Iterator[Room]:
    with ExitStack() as stack:
        yield running(stack, bus, database)


def running(stack: ExitStack, bus: Bus, database: Database, time_zone: str = "UTC") -> Room:
    """A started room, stopped when the stack is closed."""
    registry = CollectorRegistry()
    room = build(load(time_zone=time_zone), database, bus, registry, lambda: NOW_US)
    app = create_app([room.router], room.checks, registry, Access())
    room.start()
    stack.callback(room.stop)
    made = Room(room, bus, Client(app))
    stack.callback(made.close)
    return made


def journey_facts(cohort_id: str = "j") -> list[Fact]:
    """A journey of January: seen on the 5th, bought on the 7th for 20 EUR, over on 7 April."""
    first, bought = us("2026-01-05T10:00:00Z"), us("2026-01-07T10:00:00Z")
    cohort = Cohort(cohort_id, first, "awareness", "web", "shop", "spring", "email")
    return [
        Day(
            day="2026-01-05",
            at_us=first,
            active=True,
            items=[Item(first, "page_viewed", "web", "shop", "customer", "awareness", 0, "awareness")],
            journeys=[cohort],
            person=cohort,
        ),
        Day(
            day="2026-01-07",
            at_us=bought,
            active=True,
            previous_active="2026-01-05",
            items=[Item(bought, "order_completed", "web", "shop", "customer", "purchase", 0, "purchase")],
            journeys=[cohort],
            person=cohort,
        ),
        Step(unit="journey", cohort=cohort, at_us=first, from_stage=None, to_stage="awareness"),
        Touched(unit="journey", cohort=cohort, at_us=first, stage="awareness"),
        Step(
            unit="journey",
            cohort=cohort,
            at_us=bought,
            from_stage="awareness",
            to_stage="purchase",
            skipped=["consideration"],
            time_ms=172_800_000,
        ),
        Touched(unit="journey", cohort=cohort, at_us=bought, stage="purchase"),
        Ended(
            cohort=cohort,
            at_us=bought + 90 * DAY_US,
            last_us=bought,
            furthest_stage="purchase",
            reached_us=bought,
            current_stage="purchase",
            first_id="shop/1",
        ),
        OrderFact(
            system="shop",
            order_id=cohort_id,
            at_us=bought,
            stage="purchase",
            channel="web",
            source="shop",
            amounts=[Amount(bought, 20_000_000, "EUR")],
        ),
    ]


YEAR = "from=2026-01-01&to=2027-01-01"


def test_published_facts_become_the_stage_table(room: Room) -> None:
    token = room.publish(month(1, *journey_facts()))
    answer = room.get(f"/v1/stages?{YEAR}", token)
    assert (answer["journeys"], answer["from"], answer["to"]) == (1, "2026-01-01", "2027-01-01")
    assert [row["stage"] for row in answer["stages"]] == ["awareness", "consideration", "purchase", "loyalty", "advocacy"]
    assert [row["reached"] for row in answer["stages"]] == [1, 1, 1, 0, 0]
    assert [row["in_stage_now"] for row in answer["stages"]] == [0, 0, 1, 0, 0]
    time = answer["stages"][0]["time_in_stage"]
    assert (time["n"], time["mean_s"]) == (1, 172_800.0)
    assert time["p50_s"] == pytest.approx(172_800, rel=0.01)
    assert answer["complete_to"] is not None
    later = room.get(f"/v1/stages?{YEAR}&as_of=2026-05-01T00:00:00Z&by=campaign")
    assert [row["dropped"] for row in later["stages"]] == [0, 0, 1, 0, 0]
    assert {row["campaign"] for row in later["stages"]} == {"spring"}
    before = room.get(f"/v1/stages?{YEAR}&as_of=2026-01-07T09:59:59Z")
    assert [row["in_stage_now"] for row in before["stages"]] == [1, 0, 0, 0, 0]


def test_transitions_and_kpis_of_the_same_journey(room: Room) -> None:
    token = room.publish(month(1, *journey_facts()))
    rows = room.get(f"/v1/kpis/touchpoints?{YEAR}&by=stage", token)["rows"]
    assert {row["stage"]: row["value"] for row in rows} == {"awareness": 1, "purchase": 1}
    hours = room.get("/v1/kpis/touchpoints?from=2026-01-05&to=2026-01-06&grain=hour")["rows"]
    assert [row["period"] for row in hours if row["value"]] == ["2026-01-05T10"]
    assert len(hours) == 24
    revenue = room.get(f"/v1/kpis/gross_revenue?{YEAR}&grain=month")["rows"]
    assert [(row["period"], row["currency"], row["value"]) for row in revenue][:2] == [
        ("2026-01", "EUR", 20.0),
        ("2026-02", "EUR", 0.0),
    ]
    assert [row["value"] for row in room.get(f"/v1/kpis/people?{YEAR}&grain=year")["rows"]] == [1]
    assert room.get(f"/v1/kpis/nps?{YEAR}")["rows"] == [
        {"period": None, "value": None, "numerator": 0, "denominator": 0, "n": 0, "low": None, "high": None, "open": 0}
    ]
    ended = room.get(f"/v1/transitions?{YEAR}&as_of=2026-05-01T00:00:00Z")["transitions"]
    assert ended == [{"from": "purchase", "to": None, "transitions": 1}]


@pytest.mark.parametrize(
    ("kpi", "values"), [("touchpoints", (1, 2)), ("people", (1, 1)), ("orders", (0, 1)), ("journeys", (1, 1))]
)
def test_kpis_can_be_asked_as_of_any_moment_of_a_day(room: Room, kpi: str, values: tuple[int, int]) -> None:
    """The order was placed on the 7th at 10:00."""
    room.count(month(1, *journey_facts()))
    for moment, value in zip(("09:59:59.999999", "10:00:00"), values, strict=True):
        rows = room.get(f"/v1/kpis/{kpi}?{YEAR}&as_of=2026-01-07T{moment}Z")["rows"]
        assert [row["value"] for row in rows] == [value]


def test_a_newer_version_replaces_and_gone_takes_all_away(room: Room) -> None:
    room.publish(month(1, *journey_facts()))
    token = room.publish(month(3, *journey_facts()[:1]), month(2, *journey_facts("other")))
    assert room.get(f"/v1/kpis/touchpoints?{YEAR}", token)["rows"][0]["value"] == 1
    token = room.publish(month(4, gone=True), month(1, *journey_facts(), person_id="bob"))
    assert room.get(f"/v1/kpis/orders?{YEAR}", token)["rows"][0]["value"] == 1
    key = month_key("bob", "2026-01")
    token = room.publish(Outgoing(JOURNEYS, key, None), month(3, *journey_facts()))
    assert room.get(f"/v1/kpis/orders?{YEAR}", token)["rows"][0]["value"] == 0
    assert room.get("/v1/check/metrics") == {"checked": 0, "mismatches": 0, "examples": []}


def test_revenue_in_several_currencies_is_never_added(room: Room) -> None:
    bought = us("2026-01-07T10:00:00Z")
    dollars = OrderFact(
        system="shop",
        order_id="d",
        at_us=bought,
        stage="purchase",
        channel="web",
        source="shop",
        amounts=[Amount(bought, 5_500_000, "USD")],
    )
    token = room.publish(month(1, *journey_facts(), dollars))
    refused = room.client.get(f"/v1/kpis/gross_revenue?{YEAR}", headers={"X-Waypost-After": token})
    assert (refused.status_code, refused.json()["code"]) == (422, "currency_needed")
    by_currency = room.get(f"/v1/kpis/gross_revenue?{YEAR}&by=currency")["rows"]
    assert {row["currency"]: row["value"] for row in by_currency} == {"EUR": 20.0, "USD": 5.5}
    assert room.get(f"/v1/kpis/gross_revenue?{YEAR}&currency=USD")["rows"][0]["value"] == 5.5
    assert room.get(f"/v1/kpis/orders?{YEAR}")["rows"][0]["value"] == 2


def test_evidence_lists_what_a_number_is_made_of(room: Room) -> None:
    """Page by page, with links to journey; who is gone has none."""
    room.count(month(1, *journey_facts()), month(1, *journey_facts("k/1"), person_id="bob"))
    path = f"/v1/kpis/orders/evidence?{YEAR}&grain=month&by=stage,currency&currency=EUR&limit=1"
    first = room.get(path)
    last = room.get(f"{path}&cursor={first['next_cursor']}")
    assert (first["total"], len(first["evidence"]), last["next_cursor"]) == (2, 1, None)
    (own,) = (row for page in (first, last) for row in page["evidence"] if row["person_id"] == "bob")
    assert own == {
        "period": "2026-01",
        "stage": "purchase",
        "currency": "EUR",
        "at": "2026-01-07T10:00:00Z",
        "amount": 1,
        "kind": "order",
        "person_id": "bob",
        "person_url": "/v1/persons/person_id:bob",
        "system": "shop",
        "order_id": "k/1",
        "url": "/v1/persons/order:shop/k/1/touchpoints",
    }
    room.count(month(2, person_id="bob", gone=True))
    assert [row["person_id"] for row in room.get(path)["evidence"]] == ["ann"]
    table = room.client.get(f"/v1/kpis/people/evidence?{YEAR}&format=csv").text
    assert "day,ann,/v1/persons/person_id:ann,/v1/persons/person_id:ann/touchpoints" in table


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("of=mean", "unknown_number"),
        ("of=denominator", "unknown_number"),
        ("cursor=x", "invalid_cursor"),
        ("limit=0", "invalid_limit"),
        ("by=queue", "unknown_dimension"),
    ],
)
def test_wrong_questions_for_evidence_get_right_errors(room: Room, query: str, code: str) -> None:
    answer = room.client.get(f"/v1/kpis/orders/evidence?{YEAR}&{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_record_that_is_none_is_kept_as_rejected_and_blocks_nothing(room: Room) -> None:
    key = month_key("eve", "2026-01")
    token = room.publish(Outgoing(JOURNEYS, key, b'{"person_id": 1}'), month(1, *journey_facts()))
    assert room.get(f"/v1/kpis/orders?{YEAR}", token)["rows"][0]["value"] == 1
    kept = [record for partition in range(PARTITIONS) for record in room.bus.read(REJECTED, partition, 0)]
    assert len(kept) == 1
    body = msgspec.json.decode(kept[0].value or b"")
    assert (body["code"], body["topic"], body["room"]) == ("not_a_person_month", JOURNEYS, "metrics")


def test_a_restarted_room_goes_on_where_it_was(bus: Bus, database: Database) -> None:
    with ExitStack() as stack:
        first = running(stack, bus, database)
        first.get(f"/v1/stages?{YEAR}", first.publish(month(1, *journey_facts())))
    with ExitStack() as stack:
        second = running(stack, bus, database)
        second._passed = 1
        token = second.publish(month(1, *journey_facts("k"), person_id="bob"))
        assert second.get(f"/v1/stages?{YEAR}", token)["journeys"] == 2
        assert second.get("/v1/check/metrics")["mismatches"] == 0


def test_another_time_zone_needs_a_rebuild(bus: Bus, database: Database) -> None:
    with ExitStack() as stack:
        room = running(stack, bus, database)
        room.get(f"/v1/stages?{YEAR}", room.publish(month(1, *journey_facts())))
    with ExitStack() as stack, pytest.raises(Misconfigured, match="waypost rebuild metrics"):
        running(stack, bus, database, "Asia/Tokyo")
    assert rebuild(database, bus.describe(JOURNEYS), "Asia/Tokyo", lambda done, total, doing: None) == len(journey_facts())
    with ExitStack() as stack:
        room = running(stack, bus, database, "Asia/Tokyo")
        hours = room.get("/v1/kpis/touchpoints?from=2026-01-05&to=2026-01-06&grain=hour")["rows"]
        assert [row["period"] for row in hours if row["value"]] == ["2026-01-05T19"]
        assert room.get("/v1/check/metrics")["mismatches"] == 0


def test_the_check_finds_a_row_that_is_wrong(room: Room, database: Database) -> None:
    room.count(month(1, *journey_facts()))
    with database.transaction() as tx:
        database.execute(tx, "UPDATE rollup SET v0 = v0 + 1 WHERE cube = 'touchpoints[type]' AND grain = 'h'")
        database.execute(
            tx, "DELETE FROM histogram WHERE grain = '*m' AND cube LIKE '%source]' OR grain = 'dd' AND cube LIKE '%[stage]'"
        )
    found = room.get("/v1/check/metrics")
    assert found["mismatches"] == 4, "an hour of each of the two days, and two histograms"
    assert {example["table"] for example in found["examples"]} == {"rollup", "histogram"}
    assert 'waypost_check_mismatches{check="metrics"} 4.0' in room.client.get("/metrics").text


def test_every_list_is_also_csv(room: Room) -> None:
    room.count(month(1, *journey_facts()))
    for path in (f"/v1/stages?{YEAR}&by=channel", f"/v1/kpis/touchpoints?{YEAR}&by=stage", f"/v1/transitions?{YEAR}", "/v1/kpis"):
        answer = room.client.get(path, headers={"Accept": "text/csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert rows or path.startswith("/v1/transitions")
    stages = list(csv.DictReader(io.StringIO(room.client.get(f"/v1/stages?{YEAR}&format=csv").text)))
    assert (stages[0]["stage"], stages[0]["reached"], stages[0]["time_in_stage.n"]) == ("awareness", "1", "1")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/kpis/happiness?from=2026-01-01&to=2027-01-01", 404, "unknown_kpi"),
        ("/v1/kpis/orders?from=2026-01-01", 422, "missing_parameter"),
        ("/v1/kpis/orders?from=2026-01-02&to=2026-01-01", 422, "empty_range"),
        ("/v1/kpis/orders?from=2026-01-02&to=2026-02-01&grain=month", 422, "off_grain"),
        ("/v1/kpis/orders?from=2026-01-01&to=2026-02-01&grain=hour", 422, "unknown_grain"),
        ("/v1/kpis/orders?from=2026-01-01&to=2026-02-01&by=colour", 422, "unknown_dimension"),
        ("/v1/kpis/orders?from=2026-01-01&to=2026-02-01&by=stage,channel", 422, "unsupported_dimensions"),
        ("/v1/kpis/orders?from=2026-01-01&to=2026-02-01&colour=red", 422, "unknown_parameter"),
        ("/v1/kpis/orders?from=2026-01-01&to=2026-02-01&from=2026-01-02", 422, "repeated_parameter"),
        ("/v1/kpis/orders?from=2026-01-01&to=2026-02-01&as_of=yesterday", 422, "invalid_time"),
        ("/v1/kpis/orders?from=2026-01-01&to=2026-02-01&format=xml", 422, "unknown_format"),
        ("/v1/stages?from=2026-01-01&to=2026-02-01&journeys=some", 422, "unknown_value"),
        ("/v1/stages?from=2026-01-01&to=2026-02-01&by=channel,source", 422, "unsupported_dimensions"),
        ("/v1/transitions?from=2026-01-01&to=2026-02-01&unit=person", 422, "unknown_parameter"),
        ("/v1/stages?from=0001-01-01&to=9999-12-31&as_of=9999-12-31T00:00:00Z", 422, "invalid_time"),
    ],
)
def test_wrong_questions_get_right_errors(room: Room, path: str, status: int, code: str) -> None:
    answer = room.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]


def test_the_whole_calendar_can_be_asked_for(room: Room) -> None:
    token = room.publish(month(1, *journey_facts()))
    assert room.get("/v1/stages?from=0001-01-01&to=9999-12-31", token)["journeys"] == 1
    assert room.get("/v1/kpis/people?from=0001-01-01&to=9999-12-31")["rows"][0]["value"] == 1
    assert room.get("/v1/kpis/orders?from=0001-01-01&to=9001-01-01&grain=year")["rows"][2025]["value"] == 1


def test_a_token_that_does_not_come_in_time_is_answered_with_504(room: Room) -> None:
    room.count()
    headers = {"X-Waypost-After": "t0-99", "X-Waypost-Timeout": "0.2"}
    answer = room.client.get(f"/v1/stages?{YEAR}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (504, "not_yet")
    assert room.client.get(f"/v1/stages?{YEAR}", headers={"X-Waypost-After": "x"}).json()["code"] == "invalid_token"


def test_ready_lag_and_freshness_can_be_watched(room: Room) -> None:
    room.get(f"/v1/stages?{YEAR}", room.publish(month(1, *journey_facts())))
    assert room.client.get("/health/ready").json()["ready"] is True
    text = room.client.get("/metrics").text
    assert 'waypost_metrics_lag_records{partition="0"} 0.0' in text
    assert "waypost_metrics_records_total 4.0" in text
    assert "waypost_metrics_freshness_seconds_count" in text


def test_the_page_of_a_kpi_is_served(room: Room) -> None:
    answer = room.client.get("/v1/kpis/csat/page")
    assert (answer.headers["content-type"], answer.text) == ("text/markdown; charset=utf-8", page(KPI_BY_ID["csat"]))
    assert room.client.get("/v1/kpis/none/page").json()["code"] == "unknown_kpi"


def test_the_catalogue_lists_what_can_be_asked(room: Room) -> None:
    catalogue = room.get("/v1/kpis")["kpis"]
    ids = [kpi["id"] for kpi in catalogue]
    assert len(ids) == len(set(ids))
    assert {"touchpoints", "people", "visits", "orders", "csat", "nps", "first_response_time", "service_level_5m"} <= set(ids)
    for kpi in catalogue:
        for names in kpi["dimension_sets"]:
            room.get(f"/v1/kpis/{kpi['id']}?{YEAR}&by={','.join(names)}")
        for grain in kpi["grains"]:
            room.get(f"/v1/kpis/{kpi['id']}?{'from=2026-01-05&to=2026-01-12' if grain == 'week' else YEAR}&grain={grain}")
