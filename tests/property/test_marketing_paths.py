"""The fold states the marketing paths that a plain reading of the whole history finds, as of any moment."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.facts import Fact, OrderFact, PathFact
from schemas.times import DAY_US, MINUTE_US
from schemas.touchpoint import Campaign, Page
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import State, decode_state, encode_state
from services.journey.domain.touches import LONGEST
from tests.builders import START_US, body, order, read, touchpoint
from tests.model import paths as model

LOOKBACK_US = 3 * DAY_US


def classify(page: Page | None, campaign: Campaign | None) -> str:
    return (campaign.medium if campaign is not None else None) or "direct"


RULES = FoldRules(classify, lookback_us=LOOKBACK_US)

gaps = st.sampled_from([0, MINUTE_US, 30 * MINUTE_US, 31 * MINUTE_US, DAY_US, 3 * DAY_US, 3 * DAY_US + 1, 40 * DAY_US])
events = st.fixed_dictionaries(
    {
        "gap": gaps,
        "channel": st.sampled_from(["web", "web", "email"]),
        "medium": st.sampled_from([None, "cpc", "mail"]),
        "campaign": st.sampled_from([None, "spring"]),
        "page": st.booleans(),
        "ordered": st.sampled_from([False, False, True]),
    }
)


def history(drawn: list[model.Event]) -> list[model.Event]:
    """With times, and an id for each order; a campaign needs a medium here."""
    at_us, found = START_US, []
    for i, one in enumerate(drawn):
        at_us += one["gap"]
        campaign = one["campaign"] if one["medium"] is not None else None
        found.append({**one, "time_us": at_us, "campaign": campaign, "order": str(i) if one["ordered"] else None})
    return found


def folded(events: list[model.Event]) -> tuple[dict[str, OrderFact], list[PathFact]]:
    """The orders and the paths without one, the state being kept and read again before every event."""
    state, month = State(), None
    facts: dict[tuple[int, str], Fact | None] = {}
    for i, event in enumerate(events):
        fold = Fold(UUID(int=1), RULES, decode_state(encode_state(state)), month)
        campaign = Campaign(medium=event["medium"], name=event["campaign"]) if event["medium"] is not None else None
        page = Page(path="/") if event["page"] else None
        placed = order(event["order"]) if event["order"] is not None else None
        at_us = event["time_us"] - START_US
        sent = touchpoint(f"{i:03}", at_us, "email:e", channel=event["channel"], campaign=campaign, page=page, order=placed)
        fold.advance(read(body(sent)))
        state, month = fold.state, fold.month
        facts |= fold.facts
    stated = [fact for fact in facts.values() if fact is not None]
    orders = {fact.order_id: fact for fact in stated if isinstance(fact, OrderFact)}
    return orders, [fact for fact in stated if isinstance(fact, PathFact)]


@settings(max_examples=150, deadline=None)
@given(drawn=st.lists(events, max_size=12))
def test_paths_are_those_of_the_whole_history(drawn: list[model.Event]) -> None:
    events = history(drawn)
    orders, paths = folded(events)
    for i, event in enumerate(events):
        if event["order"] is not None:
            found = [tuple(touch) for touch in orders[event["order"]].path]
            assert found == [tuple(touch) for touch in model.path_before(events, i, LOOKBACK_US)]
        so_far = model.open_path(events[: i + 1], LOOKBACK_US)
        if i + 1 < len(events) and events[i + 1]["time_us"] == event["time_us"]:
            continue  # as of a moment, all of it has happened
        open_now = [path for path in paths if path.at_us <= event["time_us"] and (path.ended_us or 2**62) > event["time_us"]]
        stated = [model.Open(path.at_us, path.channels, path.campaigns) for path in open_now]
        assert stated == ([] if so_far is None else [so_far])


def test_a_path_keeps_fifty_touches_and_the_first_of_all() -> None:
    clicks = [{"gap": 1, "channel": "email", "medium": f"m{i}", "campaign": None, "page": False} for i in range(LONGEST + 2)]
    events = history([*({**click, "ordered": False} for click in clicks), {**clicks[-1], "ordered": True}])
    orders, _ = folded(events)
    (placed,) = orders.values()
    assert len(placed.path) == LONGEST
    assert placed.path[0].marketing_channel == "m3"
    assert placed.first_touch is not None
    assert placed.first_touch.marketing_channel == "m0"
    assert placed.path[-1].marketing_channel == f"m{LONGEST + 1}"
