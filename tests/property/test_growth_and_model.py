"""The fold states experiments, recommendations and referrals as a plain reading of the whole history finds them."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.facts import Exposure, Fact, Introduced, Recommended
from schemas.times import DAY_US, MINUTE_US
from schemas.touchpoint import Experiment, OrderItem, Recommendation, Referral
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import State, decode_state, encode_state
from tests.builders import START_US, body, order, read, touchpoint
from tests.model import growth as model

RULES = FoldRules(lambda page, campaign: "direct", timeout_us=1000 * DAY_US)
seen = st.one_of(
    st.just({"type": "noted"}),
    st.builds(
        lambda name, variant: {"type": "noted", "experiment": (name, variant)}, st.sampled_from("xy"), st.sampled_from("ab")
    ),
    st.builds(
        lambda type, product: {"type": type, "product": product},
        st.sampled_from(["recommendation_shown", "recommendation_clicked"]),
        st.sampled_from("pq"),
    ),
    st.just({"type": "noted", "referred": True}),
    st.builds(lambda products: {"type": "noted", "bought": sorted(products)}, st.sets(st.sampled_from("pq"))),
)
gaps = st.sampled_from([1, MINUTE_US, 30 * MINUTE_US, 30 * MINUTE_US + 1, DAY_US, 30 * DAY_US, 30 * DAY_US + 1])
steps = st.tuples(gaps, seen, st.sampled_from(["customer", "customer", "business"]), st.sampled_from(["web", "web", "app"]))


def history(drawn: list[tuple[int, model.Seen, str, str]]) -> list[model.Seen]:
    at_us, found = START_US, []
    for gap_us, what, actor, channel in drawn:
        at_us += gap_us
        found.append({**what, "time_us": at_us, "actor": actor, "channel": channel})
    return found


def folded(events: list[model.Seen]) -> list[Fact]:
    """What is stated, the state being kept and read again before every event."""
    state, month = State(), None
    facts: dict[tuple[int, str], Fact | None] = {}
    for i, event in enumerate(events):
        fold = Fold(UUID(int=1), RULES, decode_state(encode_state(state)), month)
        experiment, product, bought = event.get("experiment"), event.get("product"), event.get("bought")
        sent = touchpoint(
            f"{i:03}",
            event["time_us"] - START_US,
            "email:e",
            type=event["type"],
            actor=event["actor"],
            channel=event["channel"],
            experiment=Experiment(experiment_id=experiment[0], variant=experiment[1]) if experiment else None,
            recommendation=Recommendation(recommendation_id="r", product_id=product) if product else None,
            referral=Referral(code="c") if event.get("referred") else None,
            order=replace(order(str(i)), items=[OrderItem(product_id=one) for one in bought]) if bought is not None else None,
        )
        fold.advance(read(body(sent)))
        state, month = fold.state, fold.month
        facts |= fold.facts
    return [fact for fact in facts.values() if fact is not None]


@settings(max_examples=120, deadline=None)
@given(drawn=st.lists(steps, max_size=10))
def test_growth_is_what_the_whole_history_says(drawn: list[tuple[int, model.Seen, str, str]]) -> None:
    events = history(drawn)
    facts = folded(events)
    trials = {one.experiment_id: one for one in facts if isinstance(one, Exposure)}
    assert {
        name: model.Trial(one.variant, one.at_us, one.second_us, one.seen_us) for name, one in trials.items()
    } == model.trials(events)
    for one in trials.values():
        until_us = one.second_us or events[-1]["time_us"] + 1
        orders = [event for event in events if "bought" in event and one.at_us < event["time_us"] < until_us]
        assert [turn.at_us for turn in one.turns] == [event["time_us"] for event in orders]
        assert sum(turn.micros for turn in one.turns) == 10_000_000 * len(orders)
    shown = [
        model.Shown(one.at_us, str(one.product), one.clicked_us, one.bought_us) for one in facts if isinstance(one, Recommended)
    ]
    assert sorted(shown) == model.shown(events)


@settings(max_examples=80, deadline=None)
@given(drawn=st.lists(steps, max_size=8))
def test_a_journey_is_referred_before_it_comes_to_the_purchase(drawn: list[tuple[int, model.Seen, str, str]]) -> None:
    events = [event for event in history(drawn) if event["actor"] == "customer"]
    introduced = [one for one in folded(events) if isinstance(one, Introduced)]
    assert len(introduced) == (1 if events else 0)
    for one in introduced:
        assert one.at_us == events[0]["time_us"]
        assert one.bought_us == next((event["time_us"] for event in events if "bought" in event), None)
        assert one.referred_us == model.referred_us(events)
