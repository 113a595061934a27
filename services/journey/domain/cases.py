"""Service contacts: a case opens at its first touchpoint, whatever its action, and lives on through all that follow."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.facts import CaseFact
from schemas.times import MINUTE_US
from schemas.touchpoint import Stage
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
    )
    if step.agent_id is not None and step.agent_id not in case.agents:
        case = replace(case, agents=[*case.agents, step.agent_id])
    if not own:
        case = replace(case, others=[*case.others, f"{touchpoint.source}/{touchpoint.id}"])
    return _acted(case, touchpoint)


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
