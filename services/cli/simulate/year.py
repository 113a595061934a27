"""A whole year: everybody's story, and the order in which its touchpoints arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from services.cli.simulate.cast import Person, households
from services.cli.simulate.lives import live
from services.cli.simulate.story import DAY_US, HOUR_US, MINUTE_US, Calendar, Happening, Story

SOURCES = ("website", "app", "shop", "helpdesk", "crm")
DAYS = 365
FIXED, BROWSING = 13.2, 8.0
"""What an average person does in a year: orders, cases, mails and the like; and how much they look around at pace 1."""
_DUPLICATES = 0.012
_LATE = {"app": 0.05, "shop": 0.02, "helpdesk": 0.02, "website": 0.003, "crm": 0.01}


@dataclass(frozen=True)
class Year:
    """`happenings` are all touchpoints, each once, by person and time. `deliveries` are what is sent: (source, body) in order of arrival."""

    calendar: Calendar
    happenings: list[Happening]
    deliveries: list[tuple[str, dict[str, Any]]]


def generate(people: int, touchpoints: int, seed: int, until_us: int) -> Year:
    """The year before `until_us`: exactly `people` people, and about `touchpoints` touchpoints."""
    calendar = Calendar(until_us - DAYS * DAY_US, until_us)
    pace = _pace(touchpoints / people)
    happenings: list[Happening] = []
    for n, household in enumerate(households(Random(seed), people)):
        happenings += _told(Story(Random(f"{seed}/{n}"), calendar, _shared(household)), household, pace)
    return Year(calendar, happenings, _deliveries(Random(f"{seed}/deliveries"), happenings))


def batches(deliveries: list[tuple[str, dict[str, Any]]], window: int, size: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Requests as real senders make them: one source each, at most `size` touchpoints, nothing held back longer than `window` arrivals."""
    for start in range(0, len(deliveries), window):
        by_source: dict[str, list[dict[str, Any]]] = {}
        for source, body in deliveries[start : start + window]:
            by_source.setdefault(source, []).append(body)
        for source, bodies in by_source.items():
            for first in range(0, len(bodies), size):
                yield source, bodies[first : first + size]


def _told(story: Story, household: list[Person], pace: float) -> list[Happening]:
    for person in household:
        live(story, person, pace)
    story.settle()
    return sorted(story.happenings, key=lambda happening: (happening.root, happening.at_us))


def _shared(household: list[Person]) -> frozenset[str]:
    handles = {f"anonymous_id:{person.tablet}" for person in household if person.tablet}
    return frozenset(handles | {f"email:{person.email}" for person in household if person.shares_mailbox})


def _pace(per_person: float) -> float:
    """Orders, cases and mails stay as they are; how much people look around makes up the difference."""
    return max(per_person - FIXED, 0.0) / BROWSING


def _deliveries(rng: Random, happenings: list[Happening]) -> list[tuple[str, dict[str, Any]]]:
    """By the time of arrival: some come late (an app without a network, a shop's nightly batch), some come twice."""
    arrivals: list[tuple[int, str, str, dict[str, Any]]] = []
    for happening in happenings:
        at_us = happening.at_us + rng.randrange(30) * 1_000_000
        if rng.random() < _LATE[happening.source]:
            at_us += rng.randrange(10, 96 * 60) * MINUTE_US
        arrivals.append((at_us, happening.source, happening.id, happening.body))
        if rng.random() < _DUPLICATES:
            arrivals.append((at_us + rng.randrange(1, 72) * HOUR_US, happening.source, happening.id, happening.body))
    arrivals.sort(key=lambda arrival: arrival[:3])
    return [(source, body) for _, source, _, body in arrivals]
