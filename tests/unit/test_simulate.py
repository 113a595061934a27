"""The generated year is the same everywhere, and its truth agrees with itself and with figures counted the plain way."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest

from schemas import vocabulary
from services.cli.simulate.script import ACTS, STAGES, Stage
from services.cli.simulate.story import DAY_US, Calendar, Happening
from services.cli.simulate.truth import TIMEOUT_US, Truth, tell_the_truth
from services.cli.simulate.year import SOURCES, Year, batches, generate

UNTIL_US = 20_000 * DAY_US


@pytest.fixture(scope="module")
def year() -> Year:
    return generate(600, 12_000, 7, UNTIL_US)


@pytest.fixture(scope="module")
def truth(year: Year) -> Truth:
    return tell_the_truth(year)


def test_the_same_seed_gives_the_same_year_and_another_seed_another(year: Year) -> None:
    assert generate(600, 12_000, 7, UNTIL_US) == year
    assert generate(600, 12_000, 8, UNTIL_US).deliveries != year.deliveries


def test_it_has_as_many_people_as_asked_for_and_about_as_many_touchpoints(year: Year, truth: Truth) -> None:
    assert len(truth.persons) == 600
    assert truth.touchpoints == pytest.approx(12_000, rel=0.1)


def test_every_touchpoint_is_in_the_year_and_sent_at_least_once(year: Year) -> None:
    assert all(year.calendar.since_us <= happening.at_us < UNTIL_US for happening in year.happenings)
    sent = Counter((source, body["id"]) for source, body in year.deliveries)
    assert sent.keys() == {(happening.source, happening.id) for happening in year.happenings}
    assert len(sent) == len(year.happenings)
    assert max(sent.values()) == 2


def test_touchpoints_of_one_person_never_share_a_time(year: Year) -> None:
    assert len({(happening.root, happening.at_us) for happening in year.happenings}) == len(year.happenings)


def test_every_person_is_named_by_an_identity_that_the_year_shows(year: Year, truth: Truth) -> None:
    shown = {f"{name}:{value}" for happening in year.happenings for name, value in happening.body["identities"].items()}
    assert truth.persons.keys() <= shown
    owners = {happening.root for happening in year.happenings if "customer_id" not in happening.body["identities"]}
    assert any(owner.startswith("customer_id:") for owner in owners), "nobody signed in later"


@pytest.mark.parametrize("seed", range(8))
def test_nobody_uses_a_tablet_on_which_nobody_ever_signs_in(seed: int) -> None:
    """It would be a person of its own, and the year promises how many people it has."""
    used, signed_in = set(), set()
    for happening in generate(300, 6_000, seed, UNTIL_US).happenings:
        seen = happening.body["identities"]
        if seen.get("anonymous_id", "").startswith("tablet-"):
            used.add(seen["anonymous_id"])
            signed_in.update([seen["anonymous_id"]] if "customer_id" in seen else [])
    assert used == signed_in


def test_the_year_has_everything_that_a_year_has(year: Year) -> None:
    types = Counter(happening.body["type"] for happening in year.happenings)
    assert types.keys() == ACTS.keys()
    assert {happening.source for happening in year.happenings} == set(SOURCES)
    assert {happening.body["channel"] for happening in year.happenings} == {
        "web", "app", "store", "email", "ads", "phone", "chat", "social"
    }  # fmt: skip
    assert any(not happening.body["identities"] for happening in year.happenings), "no message knows only its ticket"
    late = [body["occurred_at"] for source, body in year.deliveries if source == "app"]
    assert late != sorted(late)


def test_its_types_mean_what_the_vocabulary_says() -> None:
    known = vocabulary.load()
    for name, act in ACTS.items():
        entry = known.entry(name)
        assert entry.stage == act.stage, name
        if entry.actor is not None:
            assert entry.actor == act.actor, name


def test_the_stage_table_adds_up(truth: Truth) -> None:
    rows = truth.stages(UNTIL_US, STAGES)
    journeys = truth.journeys
    assert sum(row.dropped + row.in_stage_now for row in rows) == len(journeys)
    assert rows[0].reached == len(journeys) > sum(journey.entry == "awareness" for journey in journeys)
    assert all(row.touched <= row.touchpoints for row in rows)
    assert all(row.dropped and row.in_stage_now and row.touched for row in rows), "a stage is empty"
    new = truth.stages(UNTIL_US, STAGES[:1])
    reached = [row.reached for row in new]
    assert reached == sorted(reached, reverse=True)
    for here, after in pairwise(new):
        assert here.reached - here.dropped - here.in_stage_now == after.reached
        assert len(here.times_us) <= after.reached


def test_revenue_is_the_sum_of_the_orders_that_were_not_cancelled(year: Year, truth: Truth) -> None:
    orders = [happening.body["order"] for happening in year.happenings if "order" in happening.body]
    cancelled = {order["order_id"] for order in orders if order["action"] == "cancelled"}
    assert cancelled
    standing = [order for order in orders if order["action"] == "placed" and order["order_id"] not in cancelled]
    assert truth.orders == len(standing)
    assert Decimal(truth.revenue_cents) / 100 == sum(Decimal(order["amount"]) for order in standing)


def test_what_was_done_on_a_shared_tablet_belongs_to_whoever_signed_in_last(year: Year) -> None:
    users: dict[str, set[str]] = {}
    for happening in year.happenings:
        tablet = happening.body["identities"].get("anonymous_id", "")
        if tablet.startswith("tablet-"):
            users.setdefault(tablet, set()).add(happening.root)
    assert any(len(found) == 2 for found in users.values())
    tablet = next(tablet for tablet, found in users.items() if len(found) == 2)
    told = sorted(
        (happening for happening in year.happenings if happening.body["identities"].get("anonymous_id") == tablet),
        key=lambda happening: happening.at_us,
    )
    signed_in = ""
    for happening in told:
        customer = happening.body["identities"].get("customer_id")
        signed_in = f"customer_id:{customer}" if customer else signed_in
        assert happening.root == (signed_in or happening.root)


def test_a_journey_by_hand() -> None:
    """Comes, looks, buys, is silent for 91 days, comes back: two journeys, the second of a customer."""
    start, day, hour = UNTIL_US - 200 * DAY_US, DAY_US, DAY_US // 24
    order = {"order_id": "o", "action": "placed", "amount": "12.50"}
    told = [
        _happening(start, "page_viewed", None),
        _happening(start + hour, "product_viewed", "consideration"),
        _happening(start + day, "order_completed", "purchase", order=order),
        _happening(start + day + 91 * day, "page_viewed", None),
    ]
    truth = tell_the_truth(Year(Calendar(start, UNTIL_US), told, []))
    first, second = truth.journeys
    assert (first.entry, first.furthest, first.times_us) == (
        "awareness", "purchase", {"awareness": hour, "consideration": day - hour}
    )  # fmt: skip
    assert (second.entry, second.furthest, second.touched) == ("loyalty", "loyalty", Counter({"loyalty": 1}))
    assert (truth.orders, truth.revenue_cents) == (1, 1250)
    over = truth.stages(second.last_us + TIMEOUT_US, STAGES)
    assert [row.dropped for row in over] == [0, 0, 1, 1, 0]
    still_open = truth.stages(second.last_us + TIMEOUT_US - 1, STAGES)
    assert [(row.dropped, row.in_stage_now) for row in still_open] == [(0, 0), (0, 0), (1, 0), (0, 1), (0, 0)]


def test_batches_hold_one_source_each_and_lose_nothing(year: Year) -> None:
    sent = list(batches(year.deliveries, window=500, size=100))
    assert max(len(bodies) for _, bodies in sent) == 100
    assert sum(len(bodies) for _, bodies in sent) == len(year.deliveries)


def _happening(at_us: int, act: str, stage: Stage | None, **fields: object) -> Happening:
    return Happening(at_us, "website", act, stage, "customer", {"type": act, "channel": "web", **fields}, "customer_id:c")
