"""Scenes of looking around: where a visit comes from, what is looked at, how deep it goes."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from services.cli.simulate.cast import Person
from services.cli.simulate.story import SECOND_US, Story, Who


class Place(NamedTuple):
    """Where a visit happens: the source that reports it, its channel, and what a page is called there."""

    source: str
    channel: str
    page: str


WEB = Place("website", "web", "page_viewed")
APP = Place("app", "app", "screen_viewed")
CATEGORIES = ("shoes", "coats", "bags", "lamps", "chairs", "mugs", "books", "toys")
PRODUCTS = 200

_ARRIVALS: tuple[tuple[float, dict[str, Any]], ...] = (
    (0.26, {}),
    (0.24, {"page": {"referrer": "https://www.google.com/"}}),
    (0.14, {"campaign": {"source": "google", "medium": "cpc", "name": "always-on"}}),
    (0.10, {"campaign": {"source": "instagram", "medium": "paid_social", "name": "summer-looks"}}),
    (0.10, {"page": {"referrer": "https://www.facebook.com/"}}),
    (0.09, {"campaign": {"source": "newsletter", "medium": "email", "name": "weekly"}}),
    (0.07, {"page": {"referrer": "https://blog.example/best-lamps"}}),
)
_STEPS = (("product_viewed", 0.46), ("product_list_viewed", 0.22), ("products_searched", 0.14), ("page", 0.18))


def a_product(rng: Random) -> str:
    """Some products are looked at far more often than others."""
    return f"p-{min(int(rng.expovariate(1 / 30)), PRODUCTS - 1):03d}"


def price_cents(product_id: str) -> int:
    return 490 + (int(product_id[2:]) * 7919) % 14_500


def arrive(story: Story, at_us: int, who: Who, person: Person) -> int:
    """The first page of a web visit, with where it came from; now and then the click on the advert before it."""
    weights = [weight for weight, _ in _ARRIVALS]
    came_from = story.rng.choices([details for _, details in _ARRIVALS], weights)[0]
    if "campaign" in came_from and story.rng.random() < 0.5:
        at_us = story.tell(at_us, "website", "ad_clicked", who, channel="ads", campaign=came_from["campaign"]) + 2 * SECOND_US
    elif "facebook" in str(came_from) and story.rng.random() < 0.5:
        at_us = story.tell(at_us, "website", "social_post_clicked", who, channel="social") + 2 * SECOND_US
    page = {"path": "/", **came_from.get("page", {})}
    details = {"campaign": came_from["campaign"]} if "campaign" in came_from else {}
    return _next(
        story, story.tell(at_us, WEB.source, WEB.page, who, channel="web", page=page, properties=_seen(person), **details)
    )


def look_around(story: Story, at_us: int, who: Who, place: Place, pages: int) -> int:
    """So many pages of the catalogue; returns the time after the last."""
    for _ in range(pages):
        at_us = _look(story, at_us, who, place)
    return at_us


def read_pages(story: Story, at_us: int, who: Who, place: Place, pages: int) -> int:
    """Pages about the shop, not about anything in it."""
    for _ in range(pages):
        path = story.rng.choice(("/about", "/stores", "/magazine/lamps", "/magazine/how-to-choose", "/sustainability"))
        act = "content_viewed" if path.startswith("/magazine") else place.page
        at_us = _next(story, story.tell(at_us, place.source, act, who, channel=place.channel, page={"path": path}))
    return at_us


def put_in_basket(story: Story, at_us: int, who: Who, place: Place, product_id: str) -> int:
    return _next(
        story,
        story.tell(
            at_us, place.source, "product_added", who, channel=place.channel, properties={"product_id": product_id, "quantity": 1}
        ),
    )


def _look(story: Story, at_us: int, who: Who, place: Place) -> int:
    rng = story.rng
    step = rng.choices([name for name, _ in _STEPS], [weight for _, weight in _STEPS])[0]
    category = rng.choice(CATEGORIES)
    properties: dict[str, Any] = {"category": category}
    if step == "page":
        return read_pages(story, at_us, who, place, 1)
    if step == "product_viewed":
        product_id = a_product(rng)
        properties = {"product_id": product_id, "price": price_cents(product_id) / 100, "currency": "EUR"}
        if rng.random() < 0.04:
            act = "product_added_to_wishlist" if rng.random() < 0.7 else "product_shared"
            at_us = _next(
                story, story.tell(at_us, place.source, act, who, channel=place.channel, properties={"product_id": product_id})
            )
    elif step == "products_searched":
        properties = {"query": category}
    return _next(story, story.tell(at_us, place.source, step, who, channel=place.channel, properties=properties))


def _seen(person: Person) -> dict[str, Any]:
    return {"market": person.market}


def _next(story: Story, at_us: int) -> int:
    return at_us + int(story.rng.lognormvariate(3.2, 0.9)) * SECOND_US + SECOND_US
