"""Every KPI is asked everything that can be asked wrongly, and rightly, through the real API."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import combinations
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.times import parse_time_us
from schemas.topics import JOURNEYS, REJECTED
from services.metrics.domain.catalogue import KPIS
from services.metrics.domain.kpis import Kpi
from services.metrics.domain.periods import Grain
from services.metrics.main import build
from services.shared.bus import TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import load
from services.shared.db import Database, sqlite_url
from services.shared.http import Access, create_app
from tests.rooms import Rooms, accepted

MONTH = {"from": "2026-03-01", "to": "2026-04-01"}
NOTHING = {"from": "2019-01-01", "to": "2020-01-01"}
OFF: Mapping[Grain, str] = {"week": "2026-03-03", "month": "2026-03-02", "quarter": "2026-02-01", "year": "2026-02-01"}
"""A day within a period of each grain."""
NUMBERS = {"period", "value", "numerator", "denominator", "n", "low", "high", "open"}


class Service:
    """Metrics with a few facts in it, asked as over HTTP."""

    def __init__(self, get: Any) -> None:
        self._get = get

    def ask(self, path: str, **query: str) -> httpx.Response:
        answer: httpx.Response = self._get(path, params=query)
        return answer

    def wrong(self, path: str, **query: str) -> tuple[int, str]:
        """Status and code of an error, which says what to do in words."""
        answer = self.ask(path, **query)
        body = answer.json()
        assert set(body) == {"code", "message", "detail"}, answer.text
        assert len(body["message"]) > 10
        return answer.status_code, body["code"]

    def right(self, path: str, **query: str) -> Any:
        """An answer, in which no number is NaN or infinite."""
        answer = self.ask(path, **query)
        assert answer.status_code == 200, (path, query, answer.text)
        return json.loads(answer.text, parse_constant=lambda name: pytest.fail(name))


def _sold(id: str, currency: str, day: str, customer: str = "c") -> dict[str, Any]:
    order = {"order_id": id, "amount": "10.00", "currency": currency}
    return {"type": "order_completed", "occurred_at": f"{day}T10:00:00Z", "identities": {"customer_id": customer}, "order": order}


def _judged(kind: str, score: int, high: int, easy: str | None = None) -> dict[str, Any]:
    survey = {"survey_id": f"{kind}{high}{easy}", "kind": kind, "score": score, "scale_min": 1, "scale_max": high}
    survey |= {"easy": easy} if easy else {}
    return {"type": "s", "occurred_at": "2026-03-05T10:00:00Z", "identities": {"customer_id": "c"}, "survey": survey}


def _reached(id: str) -> dict[str, Any]:
    named = {"identities": {"customer_id": "c"}, "outreach": {"outreach_id": id}}
    return {"type": "outreach_sent", "occurred_at": "2026-03-05T11:00:00Z", "actor": "business", **named}


def _seen(experiment: str, variant: str, customer: str) -> dict[str, Any]:
    seen = {"experiment_id": experiment, "variant": variant}
    return {**_noted("experiment_viewed", customer), "experiment": seen}


def _noted(type: str, customer: str, **facets: Any) -> dict[str, Any]:
    return {"type": type, "occurred_at": "2026-03-02T10:00:00Z", "identities": {"customer_id": customer}, **facets}


SEVERAL = [
    *(_seen(experiment, variant, who) for experiment in ("cta", "hero") for variant, who in (("a", "f"), ("b", "g"))),
    _sold("o-7", "EUR", "2026-03-20", "f"),
    _sold("o-8", "EUR", "2026-03-20", "g"),
    *(_noted("product_reviewed", "f", review={"rating": 4, "rating_max": most}) for most in (5, 10)),
    _noted("referral_visited", "h", referral={"code": "f-10"}),
    {
        "type": "page_viewed",
        "occurred_at": "2026-03-04T09:00:00Z",
        "identities": {"customer_id": "c"},
        "campaign": {"medium": "email"},
    },
    _sold("o-1", "EUR", "2026-03-04"),
    _sold("o-2", "USD", "2026-03-06"),
    _sold("o-3", "EUR", "2026-02-06"),
    _sold("o-4", "EUR", "2026-03-07", "d"),
    _sold("o-5", "USD", "2026-03-08", "e"),
    _sold("o-6", "EUR", "2026-04-07", "d"),
    _judged("csat", 4, 5),
    _judged("csat", 4, 7),
    _judged("ces", 2, 7, "low"),
    _judged("ces", 2, 7, "high"),
    _reached("o-1"),
    _reached("o-2"),
]
"""Whatever is never added up comes with at least two values in March 2026."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("questions")
    with ExitStack() as stack:
        bus = EmbeddedBus(folder / "bus.sqlite")
        stack.callback(bus.close)
        bus.create([TopicSpec(JOURNEYS, 1, compacted=True), TopicSpec(REJECTED, 1)])
        databases = [Database(sqlite_url(folder / name), durable=False) for name in ("journey", "metrics")]
        for database in databases:
            stack.callback(database.close)
        Rooms(*databases).take(accepted(SEVERAL))
        room = build(load(), databases[1], bus, CollectorRegistry(), lambda: parse_time_us("2026-07-01T00:00:00Z"))
        app = create_app([room.router], room.checks, CollectorRegistry(), Access())
        runner = stack.enter_context(asyncio.Runner())
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
        yield Service(lambda path, params: runner.run(client.get(path, params=params)))
        runner.run(client.aclose())


every_kpi = pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.id)


def path_of(kpi: Kpi) -> str:
    return f"/v1/kpis/{kpi.id}"


def apart(kpi: Kpi) -> dict[str, str]:
    """What has to be asked for so that nothing is added that must not be."""
    return {"by": ",".join(kpi.per)} if kpi.per else {}


def test_there_is_no_other_kpi(service: Service) -> None:
    for path in ("/v1/kpis/profit", "/v1/kpis/profit/evidence", "/v1/kpis/profit/page"):
        assert service.wrong(path, **({} if path.endswith("page") else MONTH)) == (404, "unknown_kpi")


@every_kpi
def test_wrong_questions_are_told_what_is_wrong(service: Service, kpi: Kpi) -> None:
    path = path_of(kpi)
    cases: list[tuple[str, dict[str, str]]] = [
        ("missing_parameter", {"to": "2026-04-01"}),
        ("missing_parameter", {"from": "2026-04-01"}),
        ("empty_range", {"from": "2026-04-01", "to": "2026-03-01"}),
        ("empty_range", {"from": "2026-03-01", "to": "2026-03-01"}),
        ("invalid_date", {"from": "2026-3-1", "to": "2026-04-01"}),
        ("invalid_date", {"from": "2026-02-30", "to": "2026-04-01"}),
        ("unknown_grain", {**MONTH, "grain": "fortnight"}),
        ("unknown_dimension", {**MONTH, "by": "horoscope"}),
        ("unknown_parameter", {**MONTH, "horoscope": "lion"}),
        ("unknown_value", {**MONTH, "compare": "neighbours"}),
        ("invalid_time", {**MONTH, "as_of": "yesterday"}),
    ]
    cases += [("unknown_grain", {**MONTH, "grain": grain}) for grain in ("hour", "day") if grain not in kpi.grains]
    cases += [("off_grain", {"from": OFF[grain], "to": "2027-01-04", "grain": grain}) for grain in kpi.grains if grain in OFF]
    cases += [("too_many_periods", {"from": "0001-01-01", "to": "9000-01-01", "grain": "day"})] if "day" in kpi.grains else []
    for code, query in cases:
        assert service.wrong(path, **query) == (422, code), query
    for code, query in (cases[0], cases[7]):
        assert service.wrong(f"{path}/evidence", **query) == (422, code), query


@every_kpi
def test_dimensions_that_are_not_kept_together_are_named(service: Service, kpi: Kpi) -> None:
    sets = [set(names) for names in kpi.dimension_sets]
    for pair in combinations(kpi.dimensions, 2):
        if not any({*pair, *kpi.per} <= names for names in sets):
            assert service.wrong(path_of(kpi), **MONTH, by=",".join(pair)) == (422, "unsupported_dimensions")
            return


@every_kpi
def test_what_is_never_added_has_to_be_asked_for_apart(service: Service, kpi: Kpi) -> None:
    """Revenue without a currency, scores without a scale, where there are several."""
    if not kpi.per:
        return
    assert service.wrong(path_of(kpi), **MONTH) == (422, f"{kpi.per[0]}_needed")
    rows = service.right(path_of(kpi), **MONTH, by=",".join(kpi.per))["rows"]
    assert len(rows) >= 2
    known = {name: str(rows[0][name]) for name in kpi.per}
    (one,) = service.right(path_of(kpi), **MONTH, **known)["rows"]
    assert one["value"] == rows[0]["value"]


@every_kpi
def test_a_range_without_data_has_no_samples(service: Service, kpi: Kpi) -> None:
    (row,) = service.right(path_of(kpi), **NOTHING)["rows"]
    assert row["n"] == 0
    assert row["value"] in (None, 0)
    assert row["numerator"] in (None, 0)
    assert row["denominator"] in (None, 0)
    assert (row["low"], row["high"]) == (None, None)
    if "month" in kpi.grains:
        assert [one["n"] for one in service.right(path_of(kpi), **NOTHING, grain="month")["rows"]] == [0] * 12
    evidence = service.ask(f"{path_of(kpi)}/evidence", **NOTHING)
    assert evidence.json().get("code") == "no_evidence" or (evidence.json()["total"], evidence.json()["evidence"]) == (0, [])


@every_kpi
def test_every_answer_says_what_it_is_by_every_grain_and_dimension(service: Service, kpi: Kpi) -> None:
    week = {"from": "2025-12-29", "to": "2026-03-30"}
    spans = {
        "week": week,
        "quarter": {"from": "2026-01-01", "to": "2026-07-01"},
        "year": {"from": "2025-01-01", "to": "2027-01-01"},
    }
    for grain in kpi.grains:
        body = service.right(path_of(kpi), **spans.get(grain, MONTH), grain=grain, **apart(kpi))
        assert (body["kpi"], body["unit"], body["grain"], body["by"]) == (kpi.id, kpi.unit, grain, list(kpi.per))
        assert {"from", "to", "as_of", "complete_to", "generation"} <= body.keys()
        assert all(NUMBERS | set(kpi.per) <= row.keys() for row in body["rows"])
    for names in kpi.dimension_sets:
        body = service.right(path_of(kpi), **MONTH, by=",".join(names))
        assert all(NUMBERS | set(names) <= row.keys() for row in body["rows"])


@every_kpi
def test_the_same_rows_are_csv(service: Service, kpi: Kpi) -> None:
    rows = service.right(path_of(kpi), **MONTH, **apart(kpi), compare="previous")["rows"]
    table = list(
        csv.DictReader(io.StringIO(service.ask(path_of(kpi), **MONTH, **apart(kpi), compare="previous", format="csv").text))
    )
    assert len(table) == len(rows)
    for row, line in zip(rows, table, strict=True):
        assert list(line) == list(row)
        assert line["n"] == str(row["n"])


@every_kpi
def test_a_period_is_compared_with_the_one_before(service: Service, kpi: Kpi) -> None:
    """As answers of their own: month after month, and a range with the one of the same length before it."""
    path, spring = path_of(kpi), {"from": "2026-02-01", "to": "2026-05-01"}
    asked = [(MONTH, "none", {"from": "2026-01-29", "to": "2026-03-01"})]
    asked += [(spring, "month", {"from": "2026-01-01", "to": "2026-05-01"})] if "month" in kpi.grains else []
    for span, grain, earlier in asked:
        rows = service.right(path, **span, grain=grain, **apart(kpi), compare="previous")["rows"]
        alone = service.right(path, **span, grain=grain, **apart(kpi))["rows"]
        assert [{name: row[name] for name in alone[0]} for row in rows] == alone
        before = service.right(path, **earlier, grain=grain, **apart(kpi))["rows"]
        values = {(one["period"], *(one[name] for name in kpi.per)): (one["value"], one["n"]) for one in before}
        for row in rows:
            period = f"2026-{int(row['period'][5:]) - 1:02}" if row["period"] else None
            previous = values.get((period, *(row[name] for name in kpi.per)), (None, 0))
            assert (row["previous"], row["previous_n"]) == previous
            known = row["value"] is not None and previous[0] is not None
            assert row["change"] == (pytest.approx(row["value"] - previous[0]) if known else None)


def test_variants_are_compared_with_a_baseline_in_their_experiment(service: Service) -> None:
    """Each of two experiments has one person a variant, and both ordered: no lift, and nothing to say about it by chance."""
    query = {**MONTH, "by": "experiment,variant"}
    rows = service.right("/v1/kpis/experiment_conversion", **query)["rows"]
    assert [(row["experiment"], row["variant"], row["value"], row["lift"], row["p_value"]) for row in rows] == [
        ("cta", "a", 100.0, None, None),
        ("cta", "b", 100.0, 0.0, None),
        ("hero", "a", 100.0, None, None),
        ("hero", "b", 100.0, 0.0, None),
    ]
    assert {row["sample_ratio_p_value"] for row in rows} == {1.0}
    assert "lift" not in service.right("/v1/kpis/experiment_conversion", **MONTH, experiment="cta", variant="a")["rows"][0]
