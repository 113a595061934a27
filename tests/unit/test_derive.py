"""What journey derives from one touchpoint."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from schemas import vocabulary
from schemas.times import format_time, parse_time_us
from schemas.touchpoint import Accepted, CaseAction, Order, OrderItem, Survey
from services.journey.domain.clocks import FIRST_US
from services.journey.domain.derive import CASE_RANKS, Derived, derive
from services.journey.domain.properties import micros

VOCABULARY = vocabulary.load()
RECEIVED = "2026-11-21T10:00:00.000000Z"


def derived(type: str = "something", **fields: Any) -> Derived:
    sent = {"id": "1", "type": type, "source": "shop", "system": "erp", "received_at": RECEIVED, "identities": {"email": "a@b.c"}}
    return derive(msgspec.json.decode(json.dumps(sent | fields), type=Accepted), VOCABULARY)


def time_of(**fields: Any) -> str:
    return format_time(derived(**fields).time_us)


def test_the_time_is_when_it_occurred() -> None:
    assert time_of(occurred_at="2026-11-21T09:30:00.123456Z") == "2026-11-21T09:30:00.123456Z"
    assert time_of(occurred_at="2026-11-21T10:30:00+01:00") == "2026-11-21T09:30:00Z"


def test_without_a_time_it_is_when_it_was_received_whatever_the_sender_s_clock() -> None:
    assert time_of() == "2026-11-21T10:00:00Z"
    assert time_of(sent_at="2026-11-21T07:00:00Z") == "2026-11-21T10:00:00Z"


@pytest.mark.parametrize(
    ("sent_at", "delay_s"),
    [
        (None, None),
        ("2026-11-21T08:00:00Z", 7200),
        ("2026-11-21T13:00:00Z", -10800),
        ("2026-11-21T09:59:00Z", 60),
        ("2026-11-21T09:59:00.000001Z", 0),  # under a minute: it may be the way
        ("2026-11-21T10:00:00.000001Z", -1),  # nothing arrives before it was sent
        ("2026-11-21T10:00:01.000001Z", -2),
        ("2026-11-21T08:00:00.400Z", 7199),  # part of that was the way
    ],
)
def test_a_touchpoint_says_in_whole_seconds_what_its_clock_is_off_by_at_most(sent_at: str | None, delay_s: int | None) -> None:
    one = derived(occurred_at="2026-11-21T07:30:00Z", sent_at=sent_at)
    assert one.delay_us == (None if delay_s is None else delay_s * 1_000_000)
    assert format_time(one.time_us) == "2026-11-21T07:30:00Z"


@pytest.mark.parametrize(
    ("identities", "device"),
    [
        ({"email": "a@b.c"}, None),
        ({"email": "a@b.c", "anonymous_id": "v"}, "anonymous_id:v"),
        ({"anonymous_id": "v", "device_id": "d"}, "device_id:d"),
    ],
)
def test_the_clock_is_the_device_s(identities: dict[str, str], device: str | None) -> None:
    assert derived(identities=identities).device == device


def test_a_time_after_receipt_becomes_the_receipt_and_keeps_its_order() -> None:
    early, late = derived(occurred_at="2026-11-21T11:00:00Z"), derived(occurred_at="2026-11-21T12:00:00Z")
    assert early.time_us == late.time_us == early.received_us == parse_time_us(RECEIVED)
    assert early.original_us < late.original_us
    assert derived(occurred_at="2026-11-21T09:00:00Z").original_us == parse_time_us("2026-11-21T09:00:00Z")


def test_what_was_put_right_is_read_with_the_time_it_was_given() -> None:
    body = json.dumps({"id": "1", "type": "t", "source": "s", "system": "s", "received_at": RECEIVED, "occurred_at": RECEIVED})
    accepted = msgspec.json.decode(body, type=Accepted)
    received_us = parse_time_us(RECEIVED)
    for original_us, time_us in ((received_us - 5, received_us - 5), (received_us + 5, received_us), (-(2**61), FIRST_US)):
        one = derive(accepted, VOCABULARY, original_us)
        assert (one.original_us, one.time_us, one.occurred_us) == (original_us, time_us, received_us)


def test_what_the_sender_says_overrides_the_vocabulary() -> None:
    known = derived("ad_impression")
    assert (known.stage, known.channel, known.actor) == ("awareness", "ads", "business")
    own = derived("ad_impression", stage="loyalty", channel="store", actor="system")
    assert (own.stage, own.channel, own.actor) == ("loyalty", "store", "system")


def test_an_unknown_type_is_the_customer_s_without_a_stage_on_an_unknown_channel() -> None:
    unknown = derived("wished_upon_a_star")
    assert (unknown.stage, unknown.channel, unknown.actor, unknown.left_out) == (None, "unknown", "customer", 0)


@pytest.mark.parametrize("action", ["answered", "transferred", "held", "resumed", "ended", "resolved", "closed", "compensated"])
@pytest.mark.parametrize("type", ["something", "case_answered"])
def test_these_steps_of_a_case_are_the_business_s(action: str, type: str) -> None:
    assert derived(type, case={"case_id": "9", "action": action}).actor == "business"


@pytest.mark.parametrize("action", ["opened", "queued", "abandoned", "message", "reopened", "note"])
def test_the_other_steps_of_a_case_are_the_customer_s(action: str) -> None:
    assert derived(case={"case_id": "9", "action": action}).actor == "customer"


@pytest.mark.parametrize(("by", "actor"), [("customer", "customer"), ("agent", "business"), ("bot", "system")])
@pytest.mark.parametrize("action", ["message", "resolved"])
def test_who_a_step_of_a_case_is_by_decides(by: str, actor: str, action: str) -> None:
    assert derived(case={"case_id": "9", "action": action, "by": by}).actor == actor
    assert derived("case_message", properties={"case_id": "9", "by": by}).actor == actor


def test_steps_of_a_case_rank_in_the_order_of_its_life() -> None:
    actions = get_args(CaseAction)
    ranks = [derived(case={"case_id": "9", "action": action}).case_rank for action in actions]
    assert ranks == list(range(1, len(actions) + 1)) == list(CASE_RANKS.values())
    assert derived().case_rank == 0
    assert derived(survey={"survey_id": "s", "kind": "csat", "case_id": "9"}).case_rank == 0


def test_identities_are_ranked_with_those_of_order_and_case() -> None:
    made = derived(
        "Order Completed",
        identities={"anonymous_id": "7f", "customer_id": "c-1"},
        properties={"order_id": 12},
        case={"case_id": "9", "action": "message"},
    )
    assert made.identities == ["customer_id:c-1", "anonymous_id:7f", "order:erp/12", "case:erp/9"]
    assert made.anchor == "customer_id:c-1"


def test_a_placed_order_takes_no_stage_of_its_own_unless_sent() -> None:
    placed = derived("product_shared", order={"order_id": "1"})
    assert (placed.stage, placed.placed_order) == (None, True)
    sent = derived("order_completed", order={"order_id": "1", "action": "placed"}, stage="advocacy")
    assert (sent.stage, sent.placed_order) == ("advocacy", False)
    changed = derived("order_completed", order={"order_id": "1", "action": "changed"})
    assert (changed.stage, changed.placed_order) == ("purchase", False)


def test_an_order_is_taken_from_the_properties_of_the_segment_spec() -> None:
    made = derived(
        "Order Completed",
        properties={
            "checkout_id": "fksdjfsdjfisjf9sdfjsd9f",
            "order_id": "50314b8e9bcf000000000000",
            "total": 27.5,
            "revenue": 25,
            "currency": "usd",
            "products": [
                {"product_id": "507f1f77bcf86cd799439011", "sku": "45790-32", "price": 19, "quantity": 1},
                {"sku": 46493},
            ],
        },
    )
    assert made.order == Order(
        order_id="50314b8e9bcf000000000000",
        action="placed",
        amount="27.5",
        currency="USD",
        items=[OrderItem(product_id="507f1f77bcf86cd799439011", price="19", quantity="1"), OrderItem(product_id="46493")],
    )
    assert (made.amount_micros, made.placed_order, made.left_out) == (27_500_000, True, 0)


def test_a_sent_facet_is_not_mixed_with_properties() -> None:
    made = derived("order_completed", order={"order_id": "a"}, properties={"order_id": "b", "total": 5})
    assert made.order == Order(order_id="a")
    assert made.amount_micros is None


@pytest.mark.parametrize(
    ("properties", "order", "left_out"),
    [
        ({}, None, 0),
        ({"order_id": ""}, None, 0),
        ({"total": 5}, None, 1),
        ({"order_id": "1", "total": "a lot"}, Order(order_id="1", action="placed"), 1),
        ({"order_id": "1", "total": -5}, Order(order_id="1", action="placed"), 1),
        ({"order_id": "1", "total": 10**10}, Order(order_id="1", action="placed"), 1),
        ({"order_id": "1", "total": True}, Order(order_id="1", action="placed"), 1),
        ({"order_id": "1", "total": "NaN"}, Order(order_id="1", action="placed"), 1),
        ({"order_id": "1", "total": "?", "revenue": " 7.10 "}, Order(order_id="1", action="placed", amount="7.1"), 1),
        ({"order_id": "1", "total": 0}, Order(order_id="1", action="placed", amount="0"), 0),
        ({"order_id": "1", "total": 10}, Order(order_id="1", action="placed", amount="10"), 0),
        ({"order_id": "1", "total": 0.1 + 0.2}, Order(order_id="1", action="placed", amount="0.3"), 0),
        ({"order_id": "1", "currency": "euros"}, Order(order_id="1", action="placed"), 1),
        ({"order_id": "1", "products": "many"}, Order(order_id="1", action="placed"), 1),
        ({"order_id": "1", "products": ["p", {"price": 1}]}, Order(order_id="1", action="placed", items=[]), 2),
        ({"order_id": ["1"]}, None, 1),
        ({"order_id": "x" * 201, "orderId": "y"}, Order(order_id="y", action="placed"), 1),
    ],
)
def test_what_does_not_fit_is_left_out_and_counted(properties: dict[str, Any], order: Order | None, left_out: int) -> None:
    made = derived("order_completed", properties=properties)
    assert (made.order, made.left_out) == (order, left_out)


def test_a_refund_is_no_amount() -> None:
    made = derived("Order Refunded", properties={"order_id": "1", "total": "3.50"})
    assert made.order == Order(order_id="1", action="refunded", refund_amount="3.5")
    assert (made.amount_micros, made.refund_micros, made.actor, made.placed_order) == (None, 3_500_000, "business", False)


def test_a_score_makes_a_survey() -> None:
    made = derived("nps_answered", properties={"score": "9", "ticket_id": 44})
    assert made.survey == Survey(survey_id="nps", kind="nps", action="answered", score=9, case_id="44")
    assert made.identities == ["email:a@b.c", "case:erp/44"]
    assert derived("nps_answered").survey is None


def test_amounts_are_exact_to_the_micro_unit() -> None:
    assert micros("0.000001") == 1
    assert micros("1000000000") == 10**15
    assert micros("2500315.63") == 2_500_315_630_000
    assert micros(19.99) == 19_990_000
    assert micros(7) == 7_000_000
    assert micros(1e9) == 10**15


def test_every_built_in_facet_rule_can_be_filled() -> None:
    like: dict[str, Any] = {"items": [{"product_id": "p"}], "score": 3, "rating": 4, "referred_by": "customer_id:c-1"}
    like |= {"by": "agent", "easy": "low", "control": True, "currency": "EUR"}
    filled = set()
    for type in VOCABULARY.types():
        facet = VOCABULARY.entry(type).facet
        if facet is not None:
            number = dict.fromkeys(("amount", "refund_amount", "scale_min", "scale_max", "rating_max"), 1)
            properties = {
                names[0]: like.get(field, number.get(field, 1 if field.endswith("_seconds") else "some"))
                for field, names in facet.take.items()
            }
            made = derived(type, properties=properties)
            assert getattr(made, facet.fills) is not None, type
            filled.add(facet.fills)
    assert filled == set(vocabulary.FACETS)
