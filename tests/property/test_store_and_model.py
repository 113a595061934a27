"""Any history, delivered in any order and any batches, is kept exactly as the plain model of the whole set says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.commands import Action, Command
from schemas.facts import CaseFact, Fact, OrderFact
from schemas.touchpoint import Campaign, Experiment, Recommendation, Referral, Review
from tests.builders import DAY_US, HOUR_US, MINUTE_US, body, case, link, order, release, survey, touchpoint
from tests.model import Command as ModelCommand
from tests.model import Touchpoint
from tests.model.identity import Identities, Marks, key_of, persons
from tests.model.journeys import journeys
from tests.model.reading import histories, microseconds, read, read_all, whose
from tests.property.journey_store import Kept, Record, Store
from tests.property.test_model_and_domain import expected, stated

PEOPLE = ["customer_id:a", "customer_id:b", "customer_id:c"]
HANDLES = ["email:e", "email:f", "phone:p", "crm:x", "anonymous_id:v", "anonymous_id:w", "device_id:d"]
FEW_HANDLES = ["email:e", "anonymous_id:v", "device_id:d"]
TIMES = [0, 0, 1, MINUTE_US, HOUR_US, DAY_US, 2 * DAY_US, 25 * DAY_US, 40 * DAY_US, 80 * DAY_US, 140 * DAY_US, 250 * DAY_US]
STAGES = [None, None, "awareness", "consideration", "purchase", "loyalty", "advocacy"]
ORDER_ACTIONS = ["placed", "placed", "changed", "cancelled", "refunded", "returned"]
CASE_ACTIONS = ["opened", "message", "answered", "resolved", "resolved", "reopened", "closed"]
GROWTH: list[dict[str, Any]] = [
    *[{}] * 6,
    {"campaign": Campaign(medium="cpc")},
    {"campaign": Campaign(medium="email", name="spring")},
    {"experiment": Experiment(experiment_id="cta", variant="a")},
    {"experiment": Experiment(experiment_id="cta", variant="b")},
    {"recommendation": Recommendation(recommendation_id="r", product_id="p")},
    {"referral": Referral(code="c")},
    {"review": Review(rating=4)},
]
"""What brings people, what they are shown, and what they say."""
BOT = 12
"""A person with more touchpoints than this is set aside in these tests."""


class Delivery(NamedTuple):
    """Touchpoints in the order and the batches in which they come, some of them twice."""

    batches: list[list[Record]]
    limit: int

    @property
    def everything(self) -> list[bytes]:
        return [raw for batch in self.batches for raw in batch if isinstance(raw, bytes)]

    @property
    def commands(self) -> list[Command]:
        return [one for batch in self.batches for one in batch if isinstance(one, Command)]


@st.composite
def touchpoints(draw: st.DrawFn) -> bytes:
    """One touchpoint, out of so few ids, times and identities that everything meets everything."""
    names = draw(st.lists(st.sampled_from(HANDLES), max_size=3, unique_by=lambda name: name.partition(":")[0]))
    if draw(st.integers(0, 2)) == 0:
        names.append(draw(st.sampled_from(PEOPLE)))
    facets: dict[str, Any] = {}
    about = draw(st.integers(0, 9))
    if about in (0, 1, 2):
        facets["case"] = case(draw(st.sampled_from("12")), draw(st.sampled_from(CASE_ACTIONS)))
    if about in (2, 3, 4):
        facets["order"] = order(draw(st.sampled_from("12")), draw(st.sampled_from(ORDER_ACTIONS)))
    if about == 5:
        facets["survey"] = survey(draw(st.sampled_from("12")))
    if not facets and not names:
        names.append("device_id:d")
    facets |= draw(st.sampled_from(GROWTH))
    at_us = draw(st.sampled_from(TIMES))
    stage = draw(st.sampled_from(STAGES))
    return body(
        touchpoint(
            draw(st.sampled_from("1234567")),
            at_us,
            *names,
            source=draw(st.sampled_from(["web", "web", "web", "desk"])),
            received_us=at_us + draw(st.sampled_from([0, 0, 0, MINUTE_US, DAY_US, 60 * DAY_US, -HOUR_US])),
            sent_us=draw(st.none() | st.just(at_us) | st.just(at_us + DAY_US)),
            actor=draw(st.sampled_from(["customer", "customer", "customer", "business"])),
            channel=draw(st.sampled_from(["web", "app", "chat"])),
            stage=stage,
            goal=draw(st.sampled_from([None, None, "compare"])),
            goal_reached=draw(st.sampled_from([None, True])),
            **facets,
        )
    )


@st.composite
def sightings(draw: st.DrawFn) -> bytes:
    """One touchpoint that is nothing but evidence of who used what: three handles, three customers, eight days, and many copies."""
    names = draw(st.sets(st.sampled_from(FEW_HANDLES), min_size=1))
    who = draw(st.sampled_from([None, *PEOPLE]))
    at_us = draw(st.integers(0, 7)) * DAY_US
    received_us = at_us + draw(st.sampled_from([0, 10, 20])) * DAY_US
    return body(
        touchpoint(draw(st.sampled_from("123456")), at_us, *sorted(names), *([who] if who else []), received_us=received_us)
    )


@st.composite
def commands(draw: st.DrawFn, names: Sequence[str] = (*PEOPLE, *HANDLES, "order:shop/1", "case:shop/1")) -> Command:
    """A link or an unlink of two of these identities. What has one id is about one pair, but may say several things."""
    one, other = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True))
    action: Action = draw(st.sampled_from(["link", "unlink"]))
    id = f"{min(one, other)} {max(one, other)} {draw(st.sampled_from('ab'))}"
    return link(one, other, draw(st.integers(0, 5)) * DAY_US, action=action, id=id)


@st.composite
def releases(draw: st.DrawFn) -> Command:
    return release(draw(st.sampled_from([*PEOPLE[:2], *FEW_HANDLES])), draw(st.integers(0, 9)) * DAY_US)


@st.composite
def deliveries(draw: st.DrawFn, max_size: int = 14, one: st.SearchStrategy[Record] | None = None, min_size: int = 1) -> Delivery:
    sent = draw(st.lists(one if one is not None else touchpoints(), min_size=min_size, max_size=max_size))
    batches: list[list[Record]] = [[]]
    for raw in sent:
        batches[-1].append(raw)
        if draw(st.integers(0, 6)) == 0:
            batches[-1].append(draw(st.sampled_from(sent)))
        if draw(st.booleans()):
            batches.append([])
    return Delivery([batch for batch in batches if batch], draw(st.sampled_from([1, 2, 100])))


def tidy(everything: Sequence[bytes]) -> list[bytes]:
    """Each touchpoint's bytes once, in the order of time."""
    return sorted(set(everything), key=lambda raw: (read(raw)["time_us"], raw))


def decided(commands: Sequence[Command]) -> list[ModelCommand]:
    """The same as the model takes them; of two with one id the earlier counts, then the link."""
    pairs = (one for one in commands if one.action != "release")
    given = sorted((microseconds(one.at), one.action, one.id, one.identities) for one in pairs)
    first = {
        id: {"id": id, "action": action, "identities": names, "at_us": at_us} for at_us, action, id, names in reversed(given)
    }
    return list(first.values())


def check_owners(kept: Kept, given_set: list[Touchpoint], limit: int, commands: Sequence[Command] = ()) -> None:
    identities = Identities(given_set, limit, decided(commands))
    assert {key: (root, digest) for key, (root, digest, _) in kept.touchpoints.items()} == {
        key_of(one): (identities.root(one), one["digest"]) for one in identities.stored
    }
    people = persons(given_set, limit, decided(commands))
    assert {root: person[1] for root, person in kept.people.items()} == {root: len(own) for root, own in people.items()}


def check_aside(kept: Kept, given_set: list[Touchpoint], limit: int, commands: Sequence[Command], most: int) -> None:
    """Set aside are those with more touchpoints than `most`, but for whom a release leads to; of nobody else there are no facts."""
    identities = Identities(given_set, limit, decided(commands))
    released: set[str] = set()
    for command in commands:
        path = [command.identities[0]] if command.action == "release" else []
        while path and len(path) == len(set(path)):
            path.append(identities.root_at(path[-1], microseconds(command.at)))
        released.update(path[1:])
    people = persons(given_set, limit, decided(commands))
    aside = {root for root, own in people.items() if len(own) > most and root not in released}
    assert {root for root, person in kept.people.items() if person[2]} == aside
    assert not aside & {root for root, _ in kept.months}


def check_journeys(
    kept: Kept, given_set: list[Touchpoint], limit: int, commands: Sequence[Command] = (), marks: Marks | None = None
) -> None:
    facts: defaultdict[str, list[Fact]] = defaultdict(list)
    for (root, _), (_, of_month) in kept.months.items():
        facts[root] += of_month.values()
    told = histories(given_set, limit, decided(commands), marks)
    assert facts.keys() <= told.keys()
    for root, history in told.items():
        assert stated(facts[root], "journey") == [expected(one) for one in journeys(history)]
        assert stated(facts[root], "person") == [expected(one) for one in journeys(history, None)]
    things = [
        (f"{'order' if isinstance(fact, OrderFact) else 'case'}:{fact.key.partition('/')[2]}", root)
        for root, theirs in facts.items()
        for fact in theirs
        if isinstance(fact, (OrderFact, CaseFact))
    ]
    assert sorted(things) == sorted(whose(persons(given_set, limit, decided(commands), marks)).items())


def differences(found: Kept, wanted: Kept) -> dict[str, list[Any]]:
    """What differs, part by part: readable where a comparison of everything is not."""
    differ: dict[str, list[Any]] = {}
    one: Any
    other: Any
    for name, one, other in zip(Kept._fields, found, wanted, strict=True):
        if isinstance(one, dict):
            keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
            differ[name] = [(key, one.get(key), other.get(key)) for key in keys]
        else:
            differ[name] = sorted(one ^ other)
    return {name: pairs for name, pairs in differ.items() if pairs}


def check(store: Store, delivery: Delivery, bot_touchpoints: int = 50_000) -> None:
    given_set, commands = read_all(delivery.everything), delivery.commands
    store.clear()
    store.take(delivery.batches, delivery.limit, bot_touchpoints)
    kept = store.kept(delivery.limit)
    store.clear()
    store.take([commands, tidy(delivery.everything)], delivery.limit, bot_touchpoints)
    wanted = store.kept(delivery.limit)
    check_owners(wanted, given_set, delivery.limit, commands)
    check_owners(kept, given_set, delivery.limit, commands)
    check_aside(wanted, given_set, delivery.limit, commands, bot_touchpoints)
    if bot_touchpoints > len(given_set):
        check_journeys(wanted, given_set, delivery.limit, commands)
    assert differences(kept, wanted) == {}


MODERATE = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(MODERATE, max_examples=40)


@MODERATE
@given(delivery=deliveries())
def test_sqlite_keeps_what_the_model_says_whatever_the_order(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)


@MODERATE
@given(delivery=deliveries(14, sightings()))
def test_sqlite_gives_touchpoints_to_those_whom_the_model_names(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)


@FEW
@given(delivery=deliveries(14, sightings()))
def test_postgresql_gives_touchpoints_to_those_whom_the_model_names(postgresql: Store, delivery: Delivery) -> None:
    check(postgresql, delivery)


@FEW
@given(delivery=deliveries(20))
def test_postgresql_keeps_what_the_model_says_whatever_the_order(postgresql: Store, delivery: Delivery) -> None:
    check(postgresql, delivery)


@FEW
@given(delivery=deliveries(30))
def test_suspected_bots_are_the_same_people_whatever_the_order(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery, BOT)


@FEW
@given(delivery=deliveries(20, sightings() | releases() | commands((*PEOPLE[:2], *FEW_HANDLES)), 8))
def test_the_same_people_are_released_whatever_the_order(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery, 3)


@FEW
@given(delivery=deliveries(20, sightings() | releases(), 8))
def test_postgresql_releases_the_same_people_whatever_the_order(postgresql: Store, delivery: Delivery) -> None:
    check(postgresql, delivery, 3)


@MODERATE
@given(delivery=deliveries(16, touchpoints() | commands(), 8))
def test_sqlite_keeps_what_the_model_says_whatever_is_linked(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)


@MODERATE
@given(delivery=deliveries(16, sightings() | commands((*PEOPLE[:2], *FEW_HANDLES)), 8))
def test_sqlite_gives_touchpoints_to_those_whom_the_model_names_whatever_is_linked(sqlite: Store, delivery: Delivery) -> None:
    check(sqlite, delivery)


@FEW
@given(delivery=deliveries(20, touchpoints() | commands(), 8))
def test_postgresql_keeps_what_the_model_says_whatever_is_linked(postgresql: Store, delivery: Delivery) -> None:
    check(postgresql, delivery)


@FEW
@given(delivery=deliveries(16, sightings() | commands((*PEOPLE[:2], *FEW_HANDLES)), 8))
def test_postgresql_gives_touchpoints_to_those_whom_the_model_names_whatever_is_linked(
    postgresql: Store, delivery: Delivery
) -> None:
    check(postgresql, delivery)
