"""What the fold states of contacts beside the cases themselves."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from schemas.facts import Day, Fact
from schemas.touchpoint import Accepted
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import State
from tests.builders import HOUR_US, MINUTE_US, START_US, body, case, read, touchpoint


def folded(touchpoints: Iterable[Accepted]) -> list[Fact]:
    """The facts of one person's touchpoints."""
    fold = Fold(UUID(int=1), FoldRules(lambda page, campaign: "direct"), State(), None)
    for one in touchpoints:
        fold.advance(read(body(one)))
    fold.finish()
    return [fact for fact in fold.facts.values() if fact is not None]


def test_an_agent_is_seen_once_an_hour_and_channel() -> None:
    steps = [
        (0, "k", "phone"),
        (20 * MINUTE_US, "k", "phone"),
        (HOUR_US, "k", "phone"),
        (HOUR_US, "k", "chat"),
        (HOUR_US, "l", "chat"),
    ]
    sent = [
        touchpoint(str(n), at, "email:e", case=case("1", "answered", agent_id=agent), channel=channel, actor="business")
        for n, (at, agent, channel) in enumerate(steps)
    ]
    asks = touchpoint("9", 0, "email:e", case=case("1", "message", agent_id="k", by="customer"), channel="mail")
    (day,) = (fact for fact in folded([asks, *sent]) if isinstance(fact, Day))
    assert [((one.at_us - START_US) // HOUR_US, one.agent_id, one.channel) for one in day.agents] == [
        (0, "k", "phone"), (1, "k", "phone"), (1, "k", "chat"), (1, "l", "chat"),
    ]  # fmt: skip
