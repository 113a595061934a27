"""`waypost import` reads data that nobody here wrote into a real service; the answers are counted independently from the files."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.cli.client import Service
from services.cli.demo.child import serving
from services.cli.importing import lines, maps
from services.cli.importing.command import Imported, import_file
from services.cli.importing.maps import Meaning
from services.cli.importing.reading import Ready, touchpoints
from tests.model import datasets
from tests.parts.needed import data_set

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE = "files"
STAGES = ("awareness", "consideration", "purchase", "loyalty", "advocacy")


class Place(NamedTuple):
    """A running service, the key to post with, and the years that the data lies in."""

    service: Service
    key: str

    def bring(self, path: Path, map_name: str) -> Imported:
        return import_file(path, EXAMPLES / map_name, self.service.url, self.key)

    def kpi(self, name: str, token: str = "", by: str = "", **filters: str) -> list[dict[str, Any]]:
        query = {"from": "1997-01-01", "to": "2025-01-01", **({"by": by} if by else {}), **filters}
        rows: list[dict[str, Any]] = self.service.get(f"/v1/kpis/{name}", query, token)["rows"]
        return rows

    def over(self, days: tuple[str, str], name: str, token: str = "", by: str = "") -> list[dict[str, Any]]:
        query = {"from": days[0], "to": days[1], **({"by": by} if by else {})}
        rows: list[dict[str, Any]] = self.service.get(f"/v1/kpis/{name}", query, token)["rows"]
        return rows

    def evidence(self, days: tuple[str, str], name: str) -> Iterator[dict[str, Any]]:
        """All pages of what a KPI's number is made of."""
        query = {"from": days[0], "to": days[1], "limit": "1000"}
        while True:
            page = self.service.get(f"/v1/kpis/{name}/evidence", query)
            yield from page["evidence"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def stages(self, journeys: str) -> dict[str, Any]:
        query = {"from": "1997-01-01", "to": "2025-01-01", "journeys": journeys}
        answer: dict[str, Any] = self.service.get("/v1/stages", query)
        return answer

    def mismatches(self) -> list[int]:
        return [self.service.get(f"/v1/check/{room}")["mismatches"] for room in ("journey", "metrics")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with serving(tmp_path, [SOURCE]) as child, closing(Service(child.url, wait_s=300)) as service:
        yield Place(service, child.keys[SOURCE])


@data_set(datasets.RETENTIONEERING)
def test_a_shops_click_stream_becomes_journeys_over_all_five_stages(place: Place) -> None:
    expected = datasets.retentioneering({})
    buyers = {row.user for row in datasets.retentioneering_rows() if row.event == "purchase"}
    imported = place.bring(datasets.RETENTIONEERING, "retentioneering.toml")
    assert (imported.accepted, imported.refused) == (expected.events, 0)
    assert expected.repeated_rows > 0

    assert total(place.kpi("touchpoints", imported.token)) == expected.events
    assert total(place.kpi("people")) == expected.users
    assert by("type", place.kpi("touchpoints", by="type")) == types_of(expected.by_event)
    orders = by("stage", place.kpi("orders", by="stage"))
    assert orders == {"purchase": len(buyers), "loyalty": expected.by_event["purchase"] - len(buyers)}
    assert {row["stage"] for row in place.stages("all")["stages"] if row["touched"]} == set(STAGES)
    assert place.mismatches() == [0, 0]

    the_planted_incidents_show(place)

    before = place.stages("all")["stages"]
    again = place.bring(datasets.RETENTIONEERING, "retentioneering.toml")
    assert again.accepted == expected.events
    assert total(place.kpi("touchpoints", again.token)) == expected.events
    assert place.stages("all")["stages"] == before


def the_planted_incidents_show(place: Place) -> None:
    """Before and during each, as named KPIs say it (the article's readers and the days of the loop are compared by visit):

    the article    visits by organic search 2.8 → 4.8 a day; orders attributed to it for a hundred visits 14 → 11
    the loop       mobile visits 206 → 331 in 31 days; mobile orders for a hundred visits 8.7 → 5.7; checkout bugs 0 → 44
    payments       in 20 days: failed ones 0 → 113, support chats 36 → 128, orders 88 → 46
    """

    def counted(kpi: str, of: tuple[str, str], spans: Iterable[tuple[str, str]]) -> list[float]:
        """A KPI's values where a dimension has a value."""
        return [by(of[0], place.over(span, kpi, by=of[0])).get(of[1], 0) for span in spans]

    spans = (datasets.ARTICLE.before, datasets.ARTICLE.during)
    organic = ("marketing_channel", "organic_search")
    visits, orders = counted("visits", organic, spans), counted("attribution_last", organic, spans)
    assert orders == [datasets.ARTICLE.count(span, "purchase", "organic") for span in spans]
    assert visits[1] / datasets.ARTICLE.days(spans[1]) > 1.5 * visits[0] / datasets.ARTICLE.days(spans[0])
    assert orders[1] / visits[1] < 0.8 * orders[0] / visits[0]

    spans = (datasets.LOOP.before, datasets.LOOP.during)
    visits, orders = counted("visits", ("channel", "app"), spans), counted("orders", ("channel", "app"), spans)
    assert orders == [datasets.LOOP.count(span, "purchase", "mobile") for span in spans]
    assert orders[1] / visits[1] < 0.7 * orders[0] / visits[0]
    assert counted("touchpoints", ("type", "checkout_bug"), spans) == [0, datasets.LOOP.count(spans[1], "checkout_bug", "mobile")]

    spans = (datasets.PAYMENTS.before, datasets.PAYMENTS.during)
    for type, event in (("payment_failed", "payment_error"), ("support_chat", "support_chat"), ("order_completed", "purchase")):
        assert counted("touchpoints", ("type", type), spans) == [datasets.PAYMENTS.count(span, event) for span in spans]
    assert datasets.PAYMENTS.count(spans[0], "payment_error") == 0
    assert datasets.PAYMENTS.count(spans[1], "support_chat") > 3 * datasets.PAYMENTS.count(spans[0], "support_chat")


@data_set(datasets.CDNOW)
def test_a_purchase_history_becomes_first_purchases_loyalty_and_revenue_to_the_cent(
    place: Place, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """Of every sixth customer in the file, all of them."""
    some, every = tmp_path / datasets.CDNOW.name, pytestconfig.getoption("--one-customer-in")
    lines = datasets.CDNOW.read_text(encoding="ascii").splitlines(keepends=True)
    taken = [line for line in lines if not line[:6].strip().isdigit() or int(line[:6]) % every == 0]
    some.write_text("".join(taken), encoding="ascii")
    expected = datasets.cdnow(some)
    imported = place.bring(some, "cdnow.toml")
    assert (imported.accepted, imported.refused) == (expected.orders, 0)
    assert expected.repeated_rows > 0

    assert total(place.kpi("people", imported.token)) == expected.customers
    orders = by("stage", place.kpi("orders", by="stage"))
    assert orders == {"purchase": expected.first_purchases, "loyalty": expected.loyalty_orders}
    (revenue,) = place.kpi("gross_revenue")
    assert revenue["currency"] == "USD"
    assert Decimal(revenue["numerator"]) / 1_000_000 == expected.revenue
    assert (place.stages("all")["journeys"], place.stages("new")["journeys"]) == (expected.journeys, expected.new_journeys)
    assert place.mismatches() == [0, 0]


@data_set(datasets.CDNOW)
def test_customers_who_came_back_are_those_published(place: Place) -> None:
    """Purchases up to September 1997 are the published calibration; the nine months after it are as long as those before."""
    path, expected = datasets.CDNOW.with_name("CDNOW_sample.txt"), datasets.cdnow_published()
    imported = place.bring(path, "cdnow_sample.toml")
    assert (imported.accepted, imported.refused) == (expected["sample_transactions"], 0)
    calibration, holdout = ("1997-01-01", "1997-10-01"), ("1997-10-01", "1998-07-01")

    (repeat,) = place.over(calibration, "repeat_rate", imported.token)
    assert (repeat["numerator"], repeat["denominator"]) == (
        expected["repeat_customers_in_calibration"],
        expected["sample_customers"],
    )
    assert repeat["value"] / 100 == pytest.approx(float(expected["repeat_rate"]))
    (retained,) = place.over(holdout, "retention_rate")
    assert (retained["numerator"], retained["denominator"]) == (expected["active_in_holdout"], expected["sample_customers"])
    assert retained["value"] / 100 == pytest.approx(float(expected["holdout_active_rate"]))
    (revenue,) = place.kpi("gross_revenue")
    assert Decimal(revenue["numerator"]) / 1_000_000 == datasets.cdnow_sample_revenue()

    bought = defaultdict[str, set[date]](set)
    of_order = customers_of(path, "cdnow_sample.toml")
    for order in place.evidence(calibration, "orders"):
        bought[of_order[order["order_id"]]].add(date.fromisoformat(order["at"][:10]))
    end = date.fromisoformat(expected["calibration_end"])
    frequency_and_recency = {
        int(customer): (len(days) - 1, round((max(days) - min(days)).days / 7, 2), round((end - min(days)).days / 7, 2))
        for customer, days in bought.items()
    }
    assert frequency_and_recency == datasets.cdnow_summary()


def customers_of(path: Path, map_name: str) -> dict[str, str]:
    """{number of an order: its customer}, as the file is imported."""
    with lines.opened(path) as source:
        sent = [json.loads(one.body) for one in touchpoints(source, maps.load(EXAMPLES / map_name)) if isinstance(one, Ready)]
    return {one["order"]["order_id"]: one["identities"]["customer_id"] for one in sent}


PUBLISHED_CHANNELS = {
    "Direct": "direct",
    "Organic_Search": "organic_search",
    "Referral": "referral",
    "Paid_Search_Other": "paid_search",
    "Video": "video",
    "Unmatched_Channel": "affiliate",
}
"""What the published tables call our channels; an affiliate's link has no channel there."""


@data_set(datasets.SNOWPLOW)
def test_visits_and_orders_are_attributed_as_published(place: Place) -> None:
    """Published paths end with a visitor's first order: those of loyalty (what converters looked at later) are left out there."""
    expected = datasets.snowplow()
    imported = place.bring(datasets.SNOWPLOW, "snowplow.toml")
    assert imported.refused == 0

    def named(counts: dict[str, Any]) -> dict[str, Any]:
        return {PUBLISHED_CHANNELS[name]: count for name, count in counts.items()}

    touches = by("marketing_channel", place.kpi("marketing_touches", imported.token, "marketing_channel"))
    assert touches == named(expected.sessions)
    assert total(place.kpi("orders")) == expected.conversions
    (revenue,) = place.kpi("gross_revenue")
    assert Decimal(revenue["numerator"]) / 1_000_000 == expected.revenue
    for model, table in expected.tables.items():
        orders = by("marketing_channel", place.kpi(f"attribution_{model}", by="marketing_channel", stage="purchase"))
        money = by("marketing_channel", place.kpi(f"attributed_revenue_{model}", by="marketing_channel", stage="purchase"))
        assert orders == pytest.approx(named({name: orders for name, (orders, _) in table.items()}), abs=1e-6)
        assert {name: round(micros, 2) for name, micros in money.items()} == named(
            {name: round(dollars, 2) for name, (_, dollars) in table.items()}
        )
    assert place.mismatches() == [0, 0]


def types_of(events: dict[str, int]) -> Counter[str]:
    """How many touchpoints of each type the map makes of these events."""
    found = maps.load(EXAMPLES / "retentioneering.toml").types
    assert found is not None
    types: Counter[str] = Counter()
    for event, count in events.items():
        meaning = found.values[event]
        types[meaning.type if isinstance(meaning, Meaning) else meaning] += count
    return types


def total(rows: list[dict[str, Any]]) -> int:
    return sum(row["value"] for row in rows)


def by(dimension: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    return {row[dimension]: row["value"] for row in rows}
