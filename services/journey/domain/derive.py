"""What one touchpoint says by itself: everything that journey derives without looking at another.

Pure and on the hot path. A changed vocabulary is applied by deriving again from the stored touchpoints.
"""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import get_args

from msgspec import Struct

from schemas.identity import ranked_identities
from schemas.times import parse_time_us
from schemas.touchpoint import (
    Accepted,
    Actor,
    Article,
    Campaign,
    Case,
    CaseAction,
    Experiment,
    Order,
    Outreach,
    Page,
    Recommendation,
    Referral,
    Review,
    Stage,
    Survey,
)
from schemas.vocabulary import Entry, Vocabulary
from services.journey.domain.clocks import counted_us, delay_us, device_of
from services.journey.domain.properties import facet_of, micros

UNKNOWN_CHANNEL = "unknown"
CASE_RANKS: dict[str, int] = {action: index + 1 for index, action in enumerate(get_args(CaseAction))}
BUSINESS_ACTIONS = frozenset({"answered", "transferred", "held", "resumed", "ended", "resolved", "closed", "compensated"})
_BY: dict[str, Actor] = {"customer": "customer", "agent": "business", "bot": "system"}


class Derived(Struct, frozen=True, kw_only=True, gc=False):
    """One touchpoint as every later step needs it.

    `time_us` is the time that counts: put right by the sender's clock, never after `received_us`. `original_us` is the same
    before it was set to `received_us`; among touchpoints of one time it keeps their order. Both are as sent until the store, which
    knows the clock, puts them right. `occurred_us` is the time as sent, None for what happened when it was received; `device` names
    the clock, None is the source's own; `delay_us` is what the touchpoint says of its clock, None if nothing. `stage` None: it counts
    where the person is; `placed_order`: its stage is purchase or loyalty, which the person's other orders decide. `case_rank` is the
    life-cycle order of case actions, 0 without a case. `identities` come highest rank first, the anchor at the head.
    `claimed` is the other customer whom an alias says that this one is. `left_out` counts properties that the vocabulary asked for and
    that did not fit.
    """

    id: str
    type: str
    source: str
    system: str
    time_us: int
    original_us: int
    received_us: int
    occurred_us: int | None
    device: str | None
    delay_us: int | None
    case_rank: int
    identities: list[str]
    channel: str
    actor: Actor
    stage: Stage | None
    placed_order: bool
    amount_micros: int | None = None
    refund_micros: int | None = None
    goal: str | None = None
    goal_reached: bool | None = None
    sentiment: float | None = None
    page: Page | None = None
    campaign: Campaign | None = None
    order: Order | None = None
    case: Case | None = None
    survey: Survey | None = None
    experiment: Experiment | None = None
    recommendation: Recommendation | None = None
    referral: Referral | None = None
    review: Review | None = None
    outreach: Outreach | None = None
    article: Article | None = None
    claimed: str | None = None
    left_out: int = 0

    @property
    def anchor(self) -> str:
        """The highest-ranked identity; the touchpoint is stored once under (anchor, source, id)."""
        return self.identities[0]


def derive(accepted: Accepted, vocabulary: Vocabulary, original_us: int | None = None) -> Derived:
    """Everything that a touchpoint says by itself; `original_us` is the time of one that was put right, None: as sent.

    Raises Rejected("invalid_time") for a time that ingest would have refused.
    """
    entry = vocabulary.entry(accepted.type)
    left_out = 0
    if entry.facet is not None and getattr(accepted, entry.facet.fills) is None:
        accepted, left_out = _filled(accepted, entry)
    order, case, survey = accepted.order, accepted.case, accepted.survey
    received_us = _header_time_us(accepted.received_at)
    occurred_us = parse_time_us(accepted.occurred_at, "/occurred_at") if accepted.occurred_at is not None else None
    if original_us is None:
        original_us = received_us if occurred_us is None else occurred_us
    identities = ranked_identities(accepted.identities, accepted.system, order, case, survey, accepted.previous)
    placed = order is not None and order.action in (None, "placed") and accepted.stage is None
    return Derived(
        id=accepted.id,
        type=accepted.type,
        source=accepted.source,
        system=accepted.system,
        time_us=counted_us(original_us, received_us),
        original_us=original_us,
        received_us=received_us,
        occurred_us=occurred_us,
        device=device_of(accepted.identities),
        delay_us=delay_us(received_us, _header_time_us(accepted.sent_at)) if accepted.sent_at is not None else None,
        case_rank=CASE_RANKS[case.action] if case is not None else 0,
        identities=identities,
        channel=accepted.channel or entry.channel or UNKNOWN_CHANNEL,
        actor=accepted.actor or entry.actor or _case_actor(case),
        stage=accepted.stage or (None if placed else entry.stage),
        placed_order=placed,
        amount_micros=micros(order.amount) if order is not None and order.amount is not None else None,
        refund_micros=micros(order.refund_amount) if order is not None and order.refund_amount is not None else None,
        goal=accepted.goal,
        goal_reached=accepted.goal_reached,
        sentiment=accepted.sentiment,
        page=accepted.page,
        campaign=accepted.campaign,
        order=order,
        case=case,
        survey=survey,
        experiment=accepted.experiment,
        recommendation=accepted.recommendation,
        referral=accepted.referral,
        review=accepted.review,
        outreach=accepted.outreach,
        article=accepted.article,
        claimed=accepted.previous if accepted.previous is not None and accepted.previous not in identities else None,
        left_out=left_out,
    )


def _filled(accepted: Accepted, entry: Entry) -> tuple[Accepted, int]:
    """A copy with the facet that its properties fill; the same where they fill none."""
    assert entry.facet is not None
    facet, left_out = facet_of(accepted.properties, entry.facet)
    if facet is None:
        return accepted, left_out
    filled = copy(accepted)
    setattr(filled, entry.facet.fills, facet)
    return filled, left_out


@lru_cache(maxsize=4096)
def _header_time_us(text: str) -> int:
    """Times that a whole request shares: parsed once."""
    return parse_time_us(text)


def _case_actor(case: Case | None) -> Actor:
    """Who acts where neither the sender nor the vocabulary says."""
    if case is None:
        return "customer"
    if case.by is not None:
        return _BY[case.by]
    return "business" if case.action in BUSINESS_ACTIONS else "customer"
