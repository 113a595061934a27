"""Legs: each call or chat of a case (or all of a case that names none), from the wait to the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.model import Touchpoint
from tests.model.kpis.cases import Case, known
from tests.model.kpis.world import MS, Rows, World, one

STARTS = {"opened", "queued", "answered", "abandoned"}
ACTIONS = {*STARTS, "ended"}
WITHIN_MS = {"20s": 20_000, "1m": 60_000, "5m": 300_000, "60m": 3_600_000}
UNTOLD = object()


class Leg(NamedTuple):
    """`wait_ms` and `handle_ms` None: unknown."""

    was_queued: bool
    answered_us: int | None
    abandoned_us: int | None
    ended_us: int | None
    wait_ms: int | None
    handle_ms: int | None

    @property
    def over_us(self) -> int | None:
        return self.answered_us if self.answered_us is not None else self.abandoned_us


def legs(world: World) -> Mapping[str, Rows]:
    every = [leg for case in known(world) for leg in of_case(case)]
    answered = [leg for leg in every if world.holds(leg.answered_us)]
    abandoned = [leg for leg in every if world.holds(leg.abandoned_us)]
    waits = [leg.wait_ms for leg in answered if leg.wait_ms is not None]
    handled = [leg.handle_ms for leg in every if leg.handle_ms is not None and world.holds(leg.ended_us)]
    queued = [leg for leg in every if leg.was_queued]
    over = sum(world.holds(leg.over_us if leg.over_us is not None else leg.ended_us) for leg in queued)
    both = len(answered) + len(abandoned)
    return {
        "speed_of_answer": one(sum(waits), len(waits)),
        "handling_time": one(sum(handled), len(handled)),
        **{f"service_level_{name}": one(sum(wait <= most for wait in waits), both) for name, most in WITHIN_MS.items()},
        "abandonment_rate": one(len(abandoned), both),
        "abandonment_rate_queued": one(sum(world.holds(leg.abandoned_us) for leg in queued), over),
        "short_abandons": one(sum(leg.wait_ms is not None and leg.wait_ms < 5000 for leg in abandoned), len(abandoned)),
        "cost_per_contact": cost(world),
    }


def cost(world: World) -> Rows:
    """The handled milliseconds of the cases opened in the period, and of how many any is known."""
    of_cases = [
        [leg.handle_ms for leg in of_case(case) if leg.handle_ms is not None]
        for case in known(world)
        if world.holds(case.opened_us)
    ]
    return one(sum(map(sum, of_cases)), sum(map(bool, of_cases)))


def of_case(case: Case) -> Iterator[Leg]:
    """What bots do begins, answers and ends no leg."""
    acts: dict[str | None, list[list[Touchpoint]]] = defaultdict(list)
    for event in case.events:
        step = event["case"]
        if step["action"] in ACTIONS and step.get("by") != "bot":
            runs = acts[step.get("leg_id")]
            if step["action"] in STARTS and (not runs or is_over(runs[-1])):
                runs.append([])
            if runs:
                runs[-1].append(event)
    begun = sorted((run for runs in acts.values() for run in runs), key=lambda run: case.events.index(run[0]))
    for run in begun:
        earlier = [event for other in begun if other is not run for event in other if before(case, event, run[0])]
        spoken = any(event["case"]["action"] in ("answered", "abandoned") for event in earlier)
        yield leg_of(run, None if spoken else case.opened_us)


def before(case: Case, event: Touchpoint, other: Touchpoint) -> bool:
    return case.events.index(event) < case.events.index(other)


def is_over(run: Sequence[Touchpoint]) -> bool:
    """Ended, or abandoned before anybody answered."""
    actions = [event["case"]["action"] for event in run]
    return "ended" in actions or abandoned_in(run) is not None


def abandoned_in(run: Sequence[Touchpoint]) -> Touchpoint | None:
    first = next((event for event in run if event["case"]["action"] in ("answered", "abandoned")), None)
    return first if first is not None and first["case"]["action"] == "abandoned" else None


def leg_of(run: Sequence[Touchpoint], opened_us: int | None) -> Leg:
    """A wait begins when the leg is queued, else when it is opened, else – of a case's first leg – when the case is."""
    over = next((event for event in run if event["case"]["action"] in ("answered", "abandoned")), None)
    waited = run if over is None else run[: run.index(over)]
    queued = [event["time_us"] for event in waited if event["case"]["action"] == "queued"]
    opened = [event["time_us"] for event in waited if event["case"]["action"] == "opened"]
    since_us = queued[0] if queued else opened[-1] if opened else opened_us
    is_answered = over is not None and over["case"]["action"] == "answered"
    is_abandoned = over is not None and not is_answered
    ended = next((event for event in run if event["case"]["action"] == "ended"), None) if not is_abandoned else None
    answered_us = over["time_us"] if over is not None and is_answered else None
    return Leg(
        was_queued=bool(queued),
        answered_us=answered_us,
        abandoned_us=over["time_us"] if over is not None and is_abandoned else None,
        ended_us=ended["time_us"] if ended is not None else None,
        wait_ms=wait_of(over, since_us) if over is not None else None,
        handle_ms=handle_of(ended, answered_us, run[0]["channel"]) if ended is not None else None,
    )


def wait_of(over: Touchpoint, since_us: int | None) -> int | None:
    """As sent (null: unknown), else the difference."""
    told = over["case"].get("wait_seconds", UNTOLD)
    if told is not UNTOLD:
        return None if told is None else round(float(told) * 1000)
    return None if since_us is None else int(over["time_us"] - since_us) // MS


def handle_of(ended: Touchpoint, answered_us: int | None, channel: str) -> int | None:
    """As sent, whole or in parts; else, of calls and chats, from the answer to the end."""
    step = ended["case"]
    parts = [step[name] for name in ("talk_seconds", "hold_seconds", "wrap_seconds") if step.get(name) is not None]
    if step.get("handle_seconds") is not None:
        return round(float(step["handle_seconds"]) * 1000)
    if parts:
        return sum(round(float(part) * 1000) for part in parts)
    return int(ended["time_us"] - answered_us) // MS if answered_us is not None and channel in ("phone", "chat") else None
