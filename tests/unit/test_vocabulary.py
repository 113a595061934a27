"""The vocabulary: what is built in, and how a user's file extends or overrides it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import vocabulary
from schemas.touchpoint import STAGES
from schemas.vocabulary import Entry
from services.shared.errors import Misconfigured

BUILT_IN = vocabulary.load()


def write(folder: Path, content: Any) -> Path:
    path = folder / "vocabulary.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("type", "stage", "channel", "actor"),
    [
        ("page_viewed", None, "web", "customer"),
        ("screen_viewed", None, "app", "customer"),
        ("ad_impression", "awareness", "ads", "business"),
        ("ad_clicked", "awareness", "ads", "customer"),
        ("email_sent", None, "email", "business"),
        ("email_delivered", None, "email", "business"),
        ("email_opened", None, "email", "customer"),
        ("search", "consideration", "web", "customer"),
        ("product_viewed", "consideration", "web", "customer"),
        ("cart_viewed", "consideration", "web", "customer"),
        ("checkout_started", "purchase", "web", "customer"),
        ("payment_info_entered", "purchase", "web", "customer"),
        ("order_completed", "purchase", "web", "customer"),
        ("subscription_renewed", "loyalty", "web", "customer"),
        ("product_shared", "advocacy", "web", "customer"),
        ("product_reviewed", "advocacy", "web", "customer"),
        ("referral_sent", "advocacy", None, "customer"),
        ("case_opened", None, None, None),
        ("call_answered", None, "phone", None),
        ("chat_message", None, "chat", None),
        ("nps_answered", None, None, "customer"),
        ("survey_sent", None, "email", "business"),
        ("outreach_sent", None, None, "business"),
    ],
)
def test_a_known_type_has_its_stage_channel_and_actor(
    type: str, stage: str | None, channel: str | None, actor: str | None
) -> None:
    entry = BUILT_IN.entry(type)
    assert (entry.stage, entry.channel, entry.actor) == (stage, channel, actor)


@pytest.mark.parametrize(
    ("published", "native"),
    [
        ("Products Searched", "products_searched"),
        ("Product List Viewed", "product_list_viewed"),
        ("Product List Filtered", "product_list_filtered"),
        ("Promotion Viewed", "promotion_viewed"),
        ("Promotion Clicked", "promotion_clicked"),
        ("Product Clicked", "product_clicked"),
        ("Product Viewed", "product_viewed"),
        ("Product Added", "product_added"),
        ("Product Removed", "product_removed"),
        ("Cart Viewed", "cart_viewed"),
        ("Checkout Started", "checkout_started"),
        ("Checkout Step Viewed", "checkout_step_viewed"),
        ("Checkout Step Completed", "checkout_step_completed"),
        ("Payment Info Entered", "payment_info_entered"),
        ("Order Updated", "order_updated"),
        ("Order Completed", "order_completed"),
        ("Order Refunded", "order_refunded"),
        ("Order Cancelled", "order_cancelled"),
        ("Coupon Entered", "coupon_entered"),
        ("Coupon Applied", "coupon_applied"),
        ("Coupon Denied", "coupon_denied"),
        ("Coupon Removed", "coupon_removed"),
        ("Product Added to Wishlist", "product_added_to_wishlist"),
        ("Product Removed from Wishlist", "product_removed_from_wishlist"),
        ("Wishlist Product Added to Cart", "wishlist_product_added_to_cart"),
        ("Product Shared", "product_shared"),
        ("Cart Shared", "cart_shared"),
        ("Product Reviewed", "product_reviewed"),
    ],
)
def test_the_e_commerce_events_are_known_under_their_published_names(published: str, native: str) -> None:
    assert published in BUILT_IN.types()
    assert BUILT_IN.entry(published) == BUILT_IN.entry(native)


def test_every_stage_has_types() -> None:
    assert {BUILT_IN.entry(type).stage for type in BUILT_IN.types()} == {*STAGES, None}


def test_an_unknown_type_has_an_empty_entry() -> None:
    assert BUILT_IN.entry("Order completed!") == Entry()


def test_a_user_s_entry_changes_only_what_it_names(tmp_path: Path) -> None:
    mine = vocabulary.load(write(tmp_path, {"types": {"product_viewed": {"stage": "awareness"}}}))
    assert mine.entry("product_viewed") == Entry("awareness", "web", "customer")
    assert mine.entry("Product Viewed") == Entry("awareness", "web", "customer")
    assert mine.entry("cart_viewed") == BUILT_IN.entry("cart_viewed")


def test_null_takes_a_built_in_value_away(tmp_path: Path) -> None:
    mine = vocabulary.load(write(tmp_path, {"types": {"product_viewed": {"stage": None}}}))
    assert mine.entry("product_viewed") == Entry(None, "web", "customer")


def test_a_user_s_type_can_be_like_a_built_in_one(tmp_path: Path) -> None:
    mine = vocabulary.load(write(tmp_path, {"types": {"till.sale": {"like": "order_completed", "channel": "store"}}}))
    sale = mine.entry("till.sale")
    assert (sale.stage, sale.channel, sale.facet) == ("purchase", "store", BUILT_IN.entry("order_completed").facet)


def test_a_user_s_facet_rule_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    mine = vocabulary.load(write(tmp_path, {"facets": {"order": {"fills": "order", "take": {"order_id": ["bon"]}}}}))
    facet = mine.entry("Order Completed").facet
    assert facet is not None
    assert facet.take == {"order_id": ["bon"]}
    assert facet.default == {"action": "placed"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not in the form"),
        ({"type": {}}, "unknown field `type`"),
        ({"types": {"a": {"stage": "retention"}}}, r"type 'a'.*retention"),
        ({"types": {"a": {"chanel": "web"}}}, r"type 'a'.*chanel"),
        ({"types": {"a": {"channel": "Web Site"}}}, r"type 'a'.*channel"),
        ({"types": {"a": {"facet": "basket"}}}, "type 'a'.*no facet rule 'basket'"),
        ({"types": {"a": {"facet": "order", "default": {"colour": "red"}}}}, "type 'a'.*no field colour"),
        ({"types": {"a": {"facet": "order", "default": {"action": "lost"}}}}, "type 'a', default 'action'.*lost"),
        ({"types": {"a": {"like": "b"}}}, "type 'a'.*'b', which is not in the vocabulary"),
        ({"types": {"a": {"like": "b"}, "b": {"like": "a"}}}, "circle"),
        ({"types": {"a": {"like": ["b"]}}}, "type 'a'.*not in the vocabulary"),
        ({"facets": {"f": {"fills": "basket", "take": {}}}}, "facet rule 'f'.*basket"),
        ({"facets": {"f": {"fills": "order", "take": {"number": ["n"]}}}}, "facet rule 'f': order has no field number"),
        (
            {"facets": {"f": {"fills": "order", "take": {}, "each": {"colour": ["c"]}}}},
            "facet rule 'f': order has no field colour",
        ),
    ],
)
def test_a_mistake_in_a_user_s_file_is_named(tmp_path: Path, content: Any, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(Misconfigured, match=said) as failure:
        vocabulary.load(path)
    assert str(path) in str(failure.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.json cannot be read"):
        vocabulary.load(tmp_path / "nowhere.json")
