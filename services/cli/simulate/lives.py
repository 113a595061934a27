"""One life per kind of person: which scenes their year is made of, and when."""

from __future__ import annotations

from services.cli.simulate.cast import Person
from services.cli.simulate.service import ask_to_recommend, contact
from services.cli.simulate.shopping import buy, buy_in_store, recommend
from services.cli.simulate.story import DAY_US, MINUTE_US, SECOND_US, Story
from services.cli.simulate.visits import APP, WEB, arrive, look_around, read_pages

LONG_SILENCE_DAYS = (93, 150)
"""Longer than the 90 days after which a journey is over."""


def live(story: Story, person: Person, pace: float) -> None:
    """Tell the person's year; `pace` scales how much they look at."""
    {"passer_by": _pass_by, "looker": _look, "lead": _lead, "guest": _guest, "customer": _customer}[person.kind](
        story, person, pace
    )


def _first_day(story: Story, last: int) -> int:
    return story.rng.randrange(max(1, min(last, story.calendar.days - 1)))


def _pages(story: Story, mean: float) -> int:
    return int(story.rng.expovariate(1 / max(mean, 0.1)))


def _visit(story: Story, person: Person, day: int, pages: float) -> int:
    """An anonymous visit in the person's own browser; returns when it ended."""
    who = person.in_browser()
    at_us = arrive(story, story.calendar.some_time(story.rng, day), who, person)
    return look_around(story, at_us, who, WEB, _pages(story, pages))


def _pass_by(story: Story, person: Person, pace: float) -> None:
    who = person.in_browser()
    at_us = arrive(story, story.calendar.some_time(story.rng, _first_day(story, 363)), who, person)
    read_pages(story, at_us, who, WEB, _pages(story, 1.5 * pace))


def _look(story: Story, person: Person, pace: float) -> None:
    day = _first_day(story, 363)
    for _ in range(story.rng.randrange(1, 4)):
        _visit(story, person, day, 5 * pace)
        day += story.rng.randrange(*LONG_SILENCE_DAYS) if story.rng.random() < 0.1 else story.rng.randrange(1, 12)


def _lead(story: Story, person: Person, pace: float) -> None:
    day = _first_day(story, 360)
    at_us = _visit(story, person, day, 4 * pace)
    story.tell(at_us, "website", "newsletter_subscribed", person.leaving_an_address(), channel="web")
    _newsletters(story, person, day)
    if story.rng.random() < 0.4:
        _visit(story, person, day + story.rng.randrange(3, 60), 4 * pace)
    if story.rng.random() < 0.06:
        contact(story, story.calendar.some_time(story.rng, day + story.rng.randrange(2, 30)), person)


def _newsletters(story: Story, person: Person, day: int) -> None:
    """One mail a month; opened by some, clicked by few, until it is left unread."""
    rng = story.rng
    for month in range(rng.randrange(2, 9)):
        sent = story.calendar.some_time(rng, day + 2 + 30 * month)
        mail = {"template": "newsletter", "issue": month + 1}
        story.tell(sent, "crm", "email_sent", person.by_mail(), channel="email", properties=mail)
        if rng.random() < 0.3:
            opened = story.tell(
                sent + rng.randrange(5, 900) * MINUTE_US, "crm", "email_opened", person.by_mail(), channel="email"
            )
            if rng.random() < 0.3:
                story.tell(opened + 20 * SECOND_US, "crm", "email_clicked", person.by_mail(), channel="email")


def _guest(story: Story, person: Person, pace: float) -> None:
    """Buys with an e-mail address, without an account."""
    day = _first_day(story, 350)
    _visit(story, person, day, 4 * pace)
    placed = buy(
        story, story.calendar.some_time(story.rng, day + story.rng.randrange(1, 9)), person, person.leaving_an_address(), WEB
    )
    _afterwards(story, person, placed)


def _customer(story: Story, person: Person, pace: float) -> None:
    rng = story.rng
    day = _first_day(story, 340)
    for _ in range(rng.randrange(1, 4)):
        _visit(story, person, day, 4 * pace)
        day += rng.randrange(1, 6)
    at_us = _visit(story, person, day, 3 * pace)
    story.tell(at_us, "website", "signed_up", person.at_the_form(), channel="web", properties={"market": person.market})
    if rng.random() < 0.3:
        _newsletters(story, person, day)
    has_app, orders = rng.random() < 0.4, _orders(story)
    for n in range(orders):
        day += rng.randrange(1, 4) if n == 0 else _pause(story)
        placed = _shop(story, person, day, has_app)
        _afterwards(story, person, placed)
        for _ in range(_pages(story, 1.2)):
            _come_back(story, person, day + rng.randrange(2, 30), pace)
    if orders > 2 and rng.random() < 0.6:
        story.tell(story.calendar.some_time(rng, day), "crm", "loyalty_joined", person.by_account(), channel="web")


def _orders(story: Story) -> int:
    return story.rng.choices((0, 1, 2, 3, 4, 6, 9), (8, 40, 20, 13, 9, 6, 4))[0]


def _pause(story: Story) -> int:
    if story.rng.random() < 0.15:
        return story.rng.randrange(*LONG_SILENCE_DAYS)
    return 3 + min(int(story.rng.expovariate(1 / 30)), 80)


def _shop(story: Story, person: Person, day: int, has_app: bool) -> int:
    rng = story.rng
    at_us = story.calendar.some_time(rng, day)
    if rng.random() < 0.2:
        return buy_in_store(story, at_us, person)
    if person.tablet and rng.random() < 0.5:
        at_us = story.tell(at_us, "website", "signed_in", person.on_tablet(signed_in=True), channel="web") + 5 * SECOND_US
        at_us = look_around(story, at_us, person.on_tablet(), WEB, rng.randrange(1, 8))
        return buy(story, at_us, person, person.on_tablet(signed_in=True), WEB)
    if has_app and rng.random() < 0.6:
        at_us = story.tell(at_us, "app", "signed_in", person.in_app(signed_in=True), channel="app") + 5 * SECOND_US
        return buy(story, at_us, person, person.in_app(signed_in=True), APP)
    at_us = arrive(story, at_us, person.in_browser(), person)
    at_us = story.tell(at_us, "website", "signed_in", person.in_browser(signed_in=True), channel="web") + 5 * SECOND_US
    return buy(story, at_us, person, person.in_browser(signed_in=True), WEB)


def _come_back(story: Story, person: Person, day: int, pace: float) -> None:
    """Without an order: on the tablet that others use too, once somebody has signed in on it, or anonymously in the own browser."""
    if story.is_known(f"anonymous_id:{person.tablet}") and story.rng.random() < 0.5:
        look_around(story, story.calendar.some_time(story.rng, day), person.on_tablet(), WEB, 1 + _pages(story, 3 * pace))
    else:
        _visit(story, person, day, 4 * pace)


def _afterwards(story: Story, person: Person, placed_us: int) -> None:
    rng = story.rng
    if rng.random() < 0.16:
        contact(story, placed_us + rng.randrange(1, 12) * DAY_US + rng.randrange(600) * MINUTE_US, person)
    if rng.random() < 0.2:
        recommend(story, placed_us, person)
    if rng.random() < 0.25:
        ask_to_recommend(story, placed_us, person)
    if person.kind == "customer" and rng.random() < 0.06:
        redeemed = placed_us + rng.randrange(5, 30) * DAY_US
        story.tell(redeemed, "crm", "loyalty_points_redeemed", person.by_account(), channel="store")
