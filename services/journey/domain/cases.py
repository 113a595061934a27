"""Service contacts: a case opens at its first touchpoint, whatever its action, and lives on through all that follow."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.facts import CaseFact, Reason
from schemas.times import MINUTE_US
from schemas.touchpoint import Stage
from services.journey.domain import legs
from services.journey.domain.derive import Derived


def opened(touchpoint: Derived, stage: Stage) -> CaseFact:
    """The case that its first touchpoint states, with all that this touchpoint does to it."""
    assert touchpoint.case is not None
    case = CaseFact(
        system=touchpoint.system,
        case_id=touchpoint.case.case_id,
        at_us=touchpoint.time_us,
        stage=stage,
        channel=touchpoint.channel,
        source=touchpoint.source,
        opened_by=touchpoint.actor,
        touchpoints=0,
        last_us=touchpoint.time_us,
    )
    return continued(case, touchpoint, own=True)


def continued(case: CaseFact, touchpoint: Derived, *, own: bool) -> CaseFact:
    """The case after one more touchpoint; `own` is false for a touchpoint of somebody else, which is listed in `others`."""
    step = touchpoint.case
    assert step is not None
    case = replace(
        case,
        touchpoints=case.touchpoints + 1,
        last_us=touchpoint.time_us,
        topic=case.topic or step.topic,
        product=case.product or step.product,
        feature=case.feature or step.feature,
        queue=case.queue or step.queue,
        team=case.team or step.team,
        legs=legs.stepped(case.legs, case.at_us, touchpoint),
    )
    if step.reason is not None and all(known.reason != step.reason for known in case.reasons):
        case = replace(case, reasons=[*case.reasons, Reason(touchpoint.time_us, step.reason)])
    if step.agent_id is not None and step.agent_id not in case.agents:
        case = replace(case, agents=[*case.agents, step.agent_id], agents_us=[*case.agents_us, touchpoint.time_us])
    if not own:
        case = replace(case, others=[*case.others, f"{touchpoint.source}/{touchpoint.id}"])
    return _acted(case, touchpoint)


def followed(case: CaseFact, later: CaseFact) -> CaseFact:
    """A case, knowing of another of the same person; the same if that one did not open later, or changes nothing.

    Cases without a topic are on none.
    """
    if (later.at_us, later.key) <= (case.at_us, case.key):
        return case
    if case.next_us is None or later.at_us < case.next_us:
        case = replace(case, next_us=later.at_us)
    if case.topic is None or later.topic != case.topic or not case.resolved_us or later.at_us < case.resolved_us[0]:
        return case
    if case.next_on_topic_us is None or later.at_us < case.next_on_topic_us:
        case = replace(case, next_on_topic_us=later.at_us)
    return case


def is_resolved(case: CaseFact) -> bool:
    return len(case.resolved_us) > len(case.reopened_us)


def _acted(case: CaseFact, touchpoint: Derived) -> CaseFact:
    step, at_us = touchpoint.case, touchpoint.time_us
    assert step is not None
    match step.action:
        case "answered":
            return _responded(case, at_us, bot=step.by == "bot")
        case "message" if step.by in ("agent", "bot") or (step.by is None and touchpoint.actor == "business"):
            return _responded(case, at_us, bot=step.by == "bot")
        case "transferred":
            return replace(case, transferred_us=[*case.transferred_us, at_us])
        case "resolved":
            return _resolved(case, at_us)
        case "reopened" if is_resolved(case):
            return replace(case, reopened_us=[*case.reopened_us, at_us])
        case "compensated":
            return replace(case, compensated_us=[*case.compensated_us, at_us])
        case "closed" if case.closed_us is None:
            return replace(case, closed_us=at_us)
        case _:
            return case


def _responded(case: CaseFact, at_us: int, *, bot: bool) -> CaseFact:
    if bot:
        return case if case.bot_responded_us is not None else replace(case, bot_responded_us=at_us)
    return case if case.responded_us is not None else replace(case, responded_us=at_us)


def _resolved(case: CaseFact, at_us: int) -> CaseFact:
    """Resolving what is resolved means that it was reopened at that moment; repeats within a minute of the resolution don't count."""
    if not is_resolved(case):
        return replace(case, resolved_us=[*case.resolved_us, at_us])
    if at_us - case.resolved_us[-1] <= MINUTE_US:
        return case
    return replace(case, reopened_us=[*case.reopened_us, at_us], resolved_us=[*case.resolved_us, at_us])
