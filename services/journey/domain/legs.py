"""The legs of a case: each call or chat in it, from the wait to the end.

A leg waits from `queued`, else `opened`, to `answered` or `abandoned`; the first leg of a case, where it was neither queued nor opened
by itself, waits from the case's opening. A bot's answer does not end a wait. What comes for a leg that is over begins another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from schemas.facts import Leg
from schemas.touchpoint import Case
from services.journey.domain.derive import Derived

VOICE_AND_CHAT = frozenset({"phone", "chat"})
"""Channels on which the time from the answer to the end is handling time; on others only if the sender gives it."""
_STARTS = frozenset({"opened", "queued", "answered", "abandoned"})


def stepped(legs: Sequence[Leg], opened_us: int, touchpoint: Derived) -> list[Leg]:
    """The legs of a case that was opened at `opened_us` after one more touchpoint."""
    step = touchpoint.case
    assert step is not None
    act = _ACTS.get(step.action)
    if act is None or step.by == "bot":
        return list(legs)
    place = max((i for i, leg in enumerate(legs) if leg.leg_id == step.leg_id), default=-1)
    if place < 0 or (step.action in _STARTS and _is_over(legs[place])):
        if step.action not in _STARTS:
            return list(legs)
        since_us = opened_us if not any(leg.answered_us or leg.abandoned_us for leg in legs) else None
        legs, place = [*legs, _new(touchpoint, step, since_us)], len(legs)
    leg = replace(
        legs[place],
        queue=step.queue or legs[place].queue,
        team=step.team or legs[place].team,
        agent_id=step.agent_id or legs[place].agent_id,
    )
    return [*legs[:place], act(leg, touchpoint, step), *legs[place + 1 :]]


def _new(touchpoint: Derived, step: Case, since_us: int | None) -> Leg:
    return Leg(
        step.leg_id, touchpoint.channel, touchpoint.time_us, since_us, None, None, None, None, None, None, None, None, None
    )


def _is_over(leg: Leg) -> bool:
    return leg.abandoned_us is not None or leg.ended_us is not None


def _opened(leg: Leg, touchpoint: Derived, step: Case) -> Leg:
    return leg if leg.queued_us is not None else replace(leg, since_us=touchpoint.time_us)


def _queued(leg: Leg, touchpoint: Derived, step: Case) -> Leg:
    """A leg that is queued again, by a transfer, goes on waiting since the first time."""
    if leg.queued_us is not None or leg.answered_us is not None:
        return leg
    return replace(leg, queued_us=touchpoint.time_us, since_us=touchpoint.time_us)


def _answered(leg: Leg, touchpoint: Derived, step: Case) -> Leg:
    if leg.answered_us is not None or leg.abandoned_us is not None:
        return leg
    return replace(leg, answered_us=touchpoint.time_us, wait_ms=_wait_ms(leg, touchpoint, step))


def _abandoned(leg: Leg, touchpoint: Derived, step: Case) -> Leg:
    if leg.answered_us is not None or leg.abandoned_us is not None:
        return leg
    return replace(leg, abandoned_us=touchpoint.time_us, wait_ms=_wait_ms(leg, touchpoint, step))


def _ended(leg: Leg, touchpoint: Derived, step: Case) -> Leg:
    if leg.ended_us is not None or leg.abandoned_us is not None:
        return leg
    return replace(leg, ended_us=touchpoint.time_us, handle_ms=_handle_ms(leg, touchpoint, step))


def _wait_ms(leg: Leg, touchpoint: Derived, step: Case) -> int | None:
    """As sent (null: unknown), else since the wait began."""
    if step.wait_seconds is not UNSET:
        return None if step.wait_seconds is None else _ms(step.wait_seconds)
    return None if leg.since_us is None else (touchpoint.time_us - leg.since_us) // 1000


def _handle_ms(leg: Leg, touchpoint: Derived, step: Case) -> int | None:
    """As sent, in one or as talk, hold and wrap; else, of calls and chats, from the answer on."""
    if step.handle_seconds is not None:
        return _ms(step.handle_seconds)
    parts = [part for part in (step.talk_seconds, step.hold_seconds, step.wrap_seconds) if part is not None]
    if parts:
        return sum(map(_ms, parts))
    if leg.answered_us is None or leg.channel not in VOICE_AND_CHAT:
        return None
    return (touchpoint.time_us - leg.answered_us) // 1000


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


_ACTS: Mapping[str, Callable[[Leg, Derived, Case], Leg]] = {
    "opened": _opened,
    "queued": _queued,
    "answered": _answered,
    "abandoned": _abandoned,
    "ended": _ended,
}
