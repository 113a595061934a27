"""Scenes of buying: basket, checkout, order, what happens to it afterwards, and recommending it."""

from __future__ import annotations

from random import Random

from services.cli.simulate.cast import Person
from services.cli.simulate.story import DAY_US, HOUR_US, MINUTE_US, Story, Who
from services.cli.simulate.visits import Place, a_product, look_around, price_cents, put_in_basket

SHOP = "shop"
"""The source that reports orders: the shop's own server, which knows account, basket and till."""


def buy(story: Story, at_us: int, person: Person, who: Who, place: Place) -> int:
    """A visit that ends in an order; returns when it was placed."""
    basket = [a_product(story.rng) for _ in range(1 + min(int(story.rng.expovariate(1)), 4))]
    at_us = look_around(story, at_us, who, place, story.rng.randrange(1, 5))
    for product_id in basket:
        at_us = put_in_basket(story, at_us, who, place, product_id)
    at_us = story.tell(at_us, place.source, "checkout_started", who, channel=place.channel) + MINUTE_US
    at_us = story.tell(at_us, place.source, "payment_info_entered", who, channel=place.channel) + MINUTE_US // 2
    return order(story, at_us, person, who, basket, place.channel)


def buy_in_store(story: Story, at_us: int, person: Person) -> int:
    """At the till, with the customer card."""
    basket = [a_product(story.rng) for _ in range(story.rng.randrange(1, 4))]
    return order(story, at_us, person, person.by_account(), basket, "store")


def order(story: Story, at_us: int, person: Person, who: Who, basket: list[str], channel: str) -> int:
    """The shop's server reports the order; mails and parcels follow, and for some a cancellation or a refund."""
    rng = story.rng
    order_id = f"o-{rng.getrandbits(40):010x}"
    cents = sum(price_cents(product_id) for product_id in basket)
    at_us = story.tell(
        at_us,
        SHOP,
        "order_completed",
        who,
        channel=channel,
        order={
            "order_id": order_id,
            "action": "placed",
            "amount": _money(cents),
            "currency": "EUR",
            "items": [{"product_id": one, "quantity": 1, "price": _money(price_cents(one))} for one in basket],
        },
        properties={"market": person.market},
    )
    _follow_up(story, at_us, person, order_id, cents, channel)
    return at_us


def _follow_up(story: Story, at_us: int, person: Person, order_id: str, cents: int, channel: str) -> None:
    rng = story.rng
    unnamed, draw = person.unnamed(), rng.random()
    if channel == "store":
        if draw < 0.02:
            _amend(story, at_us + rng.randrange(1, 10) * DAY_US, unnamed, order_id, "refunded", refund_amount=_money(cents))
        return
    story.tell(at_us + MINUTE_US, "crm", "email_sent", person.by_mail(), channel="email", properties={"template": "order"})
    if draw < 0.03:
        _amend(story, at_us + rng.randrange(1, 20) * HOUR_US, unnamed, order_id, "cancelled")
        return
    shipped = at_us + rng.randrange(20, 60) * HOUR_US
    story.tell(
        shipped, "crm", "order_shipped", person.by_mail(), channel="email", properties={"parcel": f"{rng.getrandbits(32):08x}"}
    )
    if draw < 0.08:
        part = cents if rng.random() < 0.5 else cents // 2
        _amend(story, shipped + rng.randrange(2, 14) * DAY_US, unnamed, order_id, "refunded", refund_amount=_money(part))


def _amend(story: Story, at_us: int, who: Who, order_id: str, action: str, **fields: str) -> None:
    facet = {"order_id": order_id, "action": action, **fields}
    story.tell(at_us, SHOP, f"order_{action}", who, channel="web", order=facet)


def recommend(story: Story, at_us: int, person: Person) -> None:
    """A review, a recommendation to a friend, or a post about it, some days after the order."""
    rng: Random = story.rng
    at_us += rng.randrange(4, 25) * DAY_US
    who, draw = person.in_browser(signed_in=person.kind == "customer"), rng.random()
    if draw < 0.6:
        rating = rng.choices((1, 2, 3, 4, 5), (4, 5, 11, 35, 45))[0]
        story.tell(
            at_us, "website", "product_reviewed", who, channel="web", review={"product_id": a_product(rng), "rating": rating}
        )
    elif draw < 0.85:
        story.tell(at_us, "website", "referral_sent", who, channel="web", referral={"code": f"r{rng.getrandbits(32):08x}"})
    else:
        story.tell(at_us, "app", "product_shared", who, channel="social", properties={"product_id": a_product(rng)})


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
