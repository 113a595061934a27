"""What it matters that something else follows: a help article no case, a bad experience amends, a slow answer the customer's next word.

Each is a fact that waits in the fold's state until it was followed or its time is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from msgspec.structs import replace

from schemas.facts import Bad, CaseFact, Helped, Leg, Reached, Sequel, Slow, SurveyFact, Visit
from schemas.horizons import SLOW_US, WEEK_US, decided_us
from schemas.scales import is_satisfied, is_unsatisfied, on_scale
from schemas.touchpoint import Stage
from services.journey.domain.derive import Derived

Event = Literal["case", "asked", "compensated", "satisfied", "ordered", "spoke"]
"""`case`: one was opened; `asked`: the customer opened it; `ordered`: an order was placed."""
_FOLLOWED_BY: dict[type[Sequel], frozenset[Event]] = {
    Helped: frozenset({"case"}),
    Bad: frozenset({"compensated", "satisfied", "ordered"}),
    Slow: frozenset({"spoke"}),
    Reached: frozenset({"asked"}),
}
COMPLAINT = "complaint"


def happened(waiting: Mapping[str, Sequel], events: Collection[Event], at_us: int) -> tuple[dict[str, Sequel], list[Sequel]]:
    """What goes on waiting after these events, and what they followed."""
    still: dict[str, Sequel] = {}
    followed: list[Sequel] = []
    for key, sequel in waiting.items():
        if at_us > decided_us(sequel):
            continue
        if _FOLLOWED_BY[type(sequel)].isdisjoint(events):
            still[key] = sequel
        else:
            followed.append(replace(sequel, followed_us=at_us))
    return still, followed


def events_of_case(known: CaseFact | None, case: CaseFact) -> Iterator[Event]:
    """What happened when `known` became `case`; None: it was opened."""
    if known is None:
        yield "case"
        if case.opened_by == "customer":
            yield "asked"
    if len(case.compensated_us) > (len(known.compensated_us) if known else 0):
        yield "compensated"


def of_case(known: CaseFact | None, case: CaseFact, touchpoint: Derived, stage: Stage, before_purchase: bool) -> Iterator[Sequel]:
    """The bad experiences, and the slow answer, that a touchpoint makes of `known`. `before_purchase`: in a journey that is."""
    at_us, ref = touchpoint.time_us, f"{touchpoint.source}/{touchpoint.id}"
    about: dict[str, Any] = {"at_us": at_us, "stage": stage, "source": case.source, "topic": case.topic, "ref": ref}
    if _complains(case) and not (known and _complains(known)):
        yield Bad(experience="complaint", channel=case.channel, **about)
    if len(case.reopened_us) > (len(known.reopened_us) if known else 0):
        yield Bad(experience="reopened", channel=case.channel, **about)
    waited = dict(enumerate(known.legs)) if known else {}
    for i, leg in enumerate(case.legs):
        if _waited_long(leg) and not (i in waited and _waited_long(waited[i])):
            yield Bad(experience="waited", channel=leg.channel, **about)
    is_first_answer = case.responded_us is not None and not (known and known.responded_us is not None)
    if before_purchase and is_first_answer and at_us - case.at_us > SLOW_US:
        yield Slow(channel=case.channel, **about)


def went_well(known: CaseFact | None, case: CaseFact) -> bool:
    """Whether a case without a bad experience was resolved."""
    is_resolved = len(case.resolved_us) > (len(known.resolved_us) if known else 0)
    is_bad = _complains(case) or bool(case.reopened_us) or any(map(_waited_long, case.legs))
    return is_resolved and not is_bad


def of_survey(survey: SurveyFact) -> Event | Bad | None:
    """A satisfied answer, or a bad experience; None for anything between, and for other surveys."""
    if survey.survey_kind != "csat" or survey.action != "answered":
        return None
    answer = on_scale("csat", survey.score, survey.scale_min, survey.scale_max)
    if answer is None:
        return None
    if is_satisfied(*answer):
        return "satisfied"
    if not is_unsatisfied(*answer):
        return None
    return Bad(
        experience="unsatisfied",
        at_us=survey.at_us,
        stage=survey.stage,
        channel=survey.channel,
        source=survey.source,
        topic=survey.topic,
        ref=survey.first_id,
    )


def of_article(touchpoint: Derived, article_id: str, visit: Visit) -> Helped:
    """What the first help article of a visit states."""
    return Helped(
        article_id=article_id,
        at_us=touchpoint.time_us,
        stage=visit.stage,
        channel=visit.channel,
        source=visit.source,
        ref=f"{touchpoint.source}/{touchpoint.id}",
    )


def of_outreach(touchpoint: Derived, stage: Stage, cases: Collection[CaseFact | None]) -> Reached:
    """What reaching out states, with the newest case that the customer opened in the week before."""
    assert touchpoint.outreach is not None
    at_us = touchpoint.time_us
    before = (one.at_us for one in cases if one is not None and one.opened_by == "customer")
    return Reached(
        outreach_id=touchpoint.outreach.outreach_id,
        control=touchpoint.outreach.control,
        reason=touchpoint.outreach.reason,
        at_us=at_us,
        stage=stage,
        channel=touchpoint.channel,
        source=touchpoint.source,
        ref=f"{touchpoint.source}/{touchpoint.id}",
        before_us=max((us for us in before if at_us - WEEK_US <= us < at_us), default=None),
    )


def _complains(case: CaseFact) -> bool:
    return any(known.reason == COMPLAINT for known in case.reasons)


def _waited_long(leg: Leg) -> bool:
    return leg.wait_ms is not None and leg.wait_ms * 1000 > SLOW_US
