"""The independent counters of the data sets agree with the figures published beside the data, and with the model of journeys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from tests.model import Touchpoint
from tests.model.datasets import (
    CDNOW,
    RETENTIONEERING,
    cdnow,
    cdnow_orders,
    cdnow_published,
    cdnow_sample,
    cdnow_summary,
    retentioneering,
)
from tests.model.journeys import journeys
from tests.model.stagetable import stage_table

needs_cdnow = pytest.mark.skipif(not CDNOW.exists(), reason="../shared/data/cdnow is absent")
needs_retentioneering = pytest.mark.skipif(
    not RETENTIONEERING.exists(), reason="../shared/data/retentioneering_ecom_v5 is absent"
)


@needs_cdnow
def test_cdnow_counts_are_those_published() -> None:
    counted, published = cdnow(), cdnow_published()
    assert counted.customers == published["master_customers"]
    assert counted.orders == published["master_transactions"]
    assert counted.revenue == published["revenue_master"]
    assert counted.discs == published["cds_master"]


@needs_cdnow
def test_cdnow_repeat_purchases_are_those_published() -> None:
    published = cdnow_published()
    buyers = cdnow_sample(date.fromisoformat(published["calibration_end"]))
    repeating = sum(buyer.repeats > 0 for buyer in buyers.values())
    active = sum(buyer.active_later for buyer in buyers.values())
    assert len(buyers) == published["sample_customers"]
    assert repeating == published["repeat_customers_in_calibration"]
    assert active == published["active_in_holdout"]
    assert repeating / len(buyers) == pytest.approx(float(published["repeat_rate"]), abs=0)
    assert active / len(buyers) == pytest.approx(float(published["holdout_active_rate"]), abs=0)


@needs_cdnow
def test_each_cdnow_customer_is_as_in_the_published_table() -> None:
    buyers = cdnow_sample(date.fromisoformat(cdnow_published()["calibration_end"]))
    published = {
        number: (buyer.repeats, round(buyer.recency_weeks, 2), round(buyer.age_weeks, 2)) for number, buyer in buyers.items()
    }
    assert published == cdnow_summary()


def cdnow_people() -> Iterator[list[Touchpoint]]:
    """Each order as a touchpoint of its customer."""
    for customer, orders in cdnow_orders().items():
        yield [
            {
                "source": "cdnow",
                "system": "cdnow",
                "id": str(number),
                "time_us": int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000,
                "actor": "customer",
                "order": {"order_id": f"{customer}-{number}", "action": "placed"},
                "placed_order": True,
            }
            for number, (day, _, _) in enumerate(orders)
        ]


@needs_cdnow
def test_the_model_finds_the_journeys_counted_from_the_gaps() -> None:
    counted, people = cdnow(), list(cdnow_people())
    now_us = int(datetime(1998, 7, 1, tzinfo=UTC).timestamp()) * 1_000_000
    found = {which: stage_table(people, 0, now_us, now_us, which) for which in ("new", "returning", "all")}
    assert found["new"].journeys == counted.new_journeys
    assert found["all"].journeys == counted.journeys
    assert found["returning"].journeys == counted.journeys - counted.new_journeys
    by_stage = {row.stage: row.touchpoints for row in found["all"].stages}
    assert (by_stage["purchase"], by_stage["loyalty"]) == (counted.first_purchases, counted.loyalty_orders)
    assert sum(by_stage.values()) == counted.orders
    assert all(journey.first["source"] == "cdnow" for journey in journeys(people[0]))


@needs_retentioneering
def test_the_web_shop_s_log_adds_up() -> None:
    shop = retentioneering({"purchase": "purchase", "product_view": "consideration", "catalog": "consideration"})
    assert sum(shop.by_event.values()) == sum(shop.by_platform.values()) == sum(shop.by_channel.values()) == shop.events
    assert shop.by_stage["purchase"] == shop.by_event["purchase"]
    assert shop.by_stage["consideration"] == shop.by_event["product_view"] + shop.by_event["catalog"]
    assert shop.users_by_stage["purchase"] <= shop.users_by_stage["consideration"] <= shop.users < shop.sessions < shop.events
    assert shop.first < shop.last


@needs_retentioneering
def test_the_web_shop_s_log_has_the_size_that_its_publishers_describe() -> None:
    table = (RETENTIONEERING.parents[1] / "README.md").read_text("utf-8")
    shop = retentioneering({})
    for said in (f"{shop.users:,} users", f"{shop.events:,} events", f"{shop.sessions:,} sessions"):
        assert said in table
