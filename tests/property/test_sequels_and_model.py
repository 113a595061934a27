"""However a history arrives, with people who turn out to be one, the store keeps of what follows what the plain model finds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.facts import Bad, ContactTurn, Day, Fact, Helped, Reached, Slow, Step, SurveyFact
from schemas.touchpoint import STAGES, Article, Outreach, Survey
from services.shared.db import Database
from tests.builders import DAY_US, HOUR_US, MINUTE_US, body, case, order, touchpoint
from tests.model.reading import histories, read_all
from tests.model.sequels import Sequel, by_journey, by_month, pairs, sequels
from tests.property.journey_store import Store
from tests.property.test_store_and_model import Delivery, commands, decided, deliveries

TIMES = [0, 1, MINUTE_US, 6 * MINUTE_US, HOUR_US, DAY_US, DAY_US + HOUR_US, 3 * DAY_US, 8 * DAY_US, 40 * DAY_US, 120 * DAY_US]
CASE_ACTIONS = ["opened", "message", "answered", "resolved", "resolved", "reopened", "closed", "compensated"]
NAMES = [("customer_id:a",), ("anonymous_id:v",), ("customer_id:a", "anonymous_id:v"), ("anonymous_id:w",), ()]
KINDS = ["csat", "csat", "csat", "nps", "ces"]
OWN = {"helped": (), "bad": ("experience",), "slow": (), "reached": ("before_us",)}


@st.composite
def touchpoints(draw: st.DrawFn) -> bytes:
    """One touchpoint about an article, a case, an order, a survey or outreach, or several of them."""
    names, facets, about = (
        draw(st.sampled_from(NAMES)),
        dict[str, Any](),
        draw(st.sets(st.integers(0, 6), min_size=1, max_size=2)),
    )
    if about & {0, 1, 2}:
        action, reason = draw(st.sampled_from(CASE_ACTIONS)), draw(st.sampled_from([None, None, "complaint"]))
        facets["case"] = case(draw(st.sampled_from("12")), action, reason=reason, by=draw(st.sampled_from([None, None, "agent"])))
    if 3 in about:
        facets["order"] = order(draw(st.sampled_from("12")))
    if 4 in about:
        facets["survey"] = Survey(survey_id="s", kind=draw(st.sampled_from(KINDS)), score=draw(st.integers(1, 5)))
    if 5 in about:
        facets["outreach"] = Outreach(outreach_id=draw(st.sampled_from("xy")), control=draw(st.booleans()))
    if 6 in about:
        facets["article"] = Article(article_id="returns")
    if not names and not about & {0, 1, 2, 3}:
        names = ("anonymous_id:v",)
    at_us, actor = draw(st.sampled_from(TIMES)), draw(st.sampled_from(["customer", "customer", "business"]))
    channel = draw(st.sampled_from(["web", "web", "chat"]))
    return body(touchpoint(draw(st.sampled_from("123456")), at_us, *names, actor=actor, channel=channel, **facets))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with closing(Database("sqlite+pysqlite://")) as database:
        yield Store(database)


def told(fact: Helped | Bad | Slow | Reached) -> Sequel:
    kind = str(type(fact).__struct_config__.tag)
    names = ("ref", "at_us", "followed_us", *OWN[kind])
    return {"kind": kind} | {name: getattr(fact, name) for name in names}


def months_of(facts: Iterable[Fact]) -> dict[str, tuple[str | None, str | None]]:
    """What the first active day of each month says of the last contact."""
    active = sorted((fact.day, fact) for fact in facts if isinstance(fact, Day) and fact.active)
    firsts = {day: fact for day, fact in active if fact.previous_active is None or fact.previous_active[:7] != day[:7]}
    assert all((fact.contact, fact.contact_before) == (None, None) for day, fact in active if day not in firsts)
    return {day: (fact.contact, fact.contact_before) for day, fact in firsts.items()}


def journeys_of(facts: Iterable[Fact]) -> dict[int, tuple[str | None, bool]]:
    """What steps and turns say of each new journey: its last contact, up to purchase if it got there."""
    counts: defaultdict[int, Counter[str | None]] = defaultdict(Counter)
    converted: dict[int, str | None] = {}
    for fact in facts:
        if isinstance(fact, ContactTurn):
            counts[fact.cohort.started_us].update({fact.contact: 1})
            counts[fact.cohort.started_us].subtract({fact.before: 1})
        elif isinstance(fact, Step) and fact.unit == "journey" and fact.cohort.entry_stage == "awareness":
            if fact.from_stage is None:
                counts[fact.cohort.started_us][fact.contact] += 1
            elif STAGES.index(fact.from_stage) < STAGES.index("purchase") <= STAGES.index(fact.to_stage):
                converted[fact.cohort.started_us] = fact.contact
    found = {}
    for started_us, of in counts.items():
        (contact,) = +of
        assert min(of.values()) >= 0
        assert converted.get(started_us, contact) == contact
        found[started_us] = contact, started_us in converted
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(delivery=deliveries(14, touchpoints() | touchpoints() | touchpoints() | commands(["customer_id:a", "anonymous_id:w"]), 4))
def test_what_follows_is_what_the_model_finds(store: Store, delivery: Delivery) -> None:
    store.clear()
    store.take(delivery.batches, delivery.limit)
    found: dict[str, list[str]] = {}
    stated: dict[str, list[Fact]] = {}
    compared: dict[str, list[tuple[str, int, float | None, float, str]]] = {}
    for (root, _), (_, facts) in store.kept(delivery.limit).months.items():
        mine = [told(fact) for fact in facts.values() if isinstance(fact, Helped | Bad | Slow | Reached)]
        found.setdefault(root, []).extend(repr(sorted(one.items())) for one in mine)
        answers = [fact for fact in facts.values() if isinstance(fact, SurveyFact)]
        stated.setdefault(root, []).extend(facts.values())
        compared.setdefault(root, []).extend(
            (one.survey_kind, one.at_us, one.score, one.before.score, one.between.channel)
            for one in answers
            if one.before and one.between
        )
    expected = {}
    for root, history in histories(read_all(delivery.everything), delivery.limit, decided(delivery.commands)).items():
        assert months_of(stated.get(root, [])) == by_month(history)
        assert journeys_of(stated.get(root, [])) == by_journey(history)
        for kind in KINDS[2:]:
            assert {one[1:] for one in compared.get(root, []) if one[0] == kind} == set(pairs(history, kind))
        expected[root] = sorted({repr(sorted(one.items())) for one in sequels(history)})
    assert {root: sorted(of) for root, of in found.items() if of} == {root: of for root, of in expected.items() if of}
