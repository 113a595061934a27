"""`waypost import` reads data that nobody here wrote into a real service; the answers are counted independently from the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.cli.client import Service
from services.cli.demo.child import serving
from services.cli.importing import maps
from services.cli.importing.command import Imported, import_file
from services.cli.importing.maps import Meaning
from tests.model import datasets

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE = "files"
STAGES = ("awareness", "consideration", "purchase", "loyalty", "advocacy")


class Place(NamedTuple):
    """A running service, the key to post with, and the years that the data lies in."""

    service: Service
    key: str

    def bring(self, path: Path, map_name: str) -> Imported:
        return import_file(path, EXAMPLES / map_name, self.service.url, self.key)

    def kpi(self, name: str, token: str = "", by: str = "") -> list[dict[str, Any]]:
        query = {"from": "1997-01-01", "to": "2025-01-01", **({"by": by} if by else {})}
        rows: list[dict[str, Any]] = self.service.get(f"/v1/kpis/{name}", query, token)["rows"]
        return rows

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


def needs(path: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not path.exists(), reason=f"the data set {path} is not on this machine")


@needs(datasets.RETENTIONEERING)
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

    before = place.stages("all")["stages"]
    again = place.bring(datasets.RETENTIONEERING, "retentioneering.toml")
    assert again.accepted == expected.events
    assert total(place.kpi("touchpoints", again.token)) == expected.events
    assert place.stages("all")["stages"] == before


@needs(datasets.CDNOW)
def test_a_purchase_history_becomes_first_purchases_loyalty_and_revenue_to_the_cent(place: Place) -> None:
    expected = datasets.cdnow()
    imported = place.bring(datasets.CDNOW, "cdnow.toml")
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
