"""What the whole of Waypost should answer, worked out from everything that was ever sent, in plain words.

Imports nothing from `services` or `schemas`. It keeps a list of what was posted, and computes each answer from the whole list: who is
who by `tests.model.identity`, journeys by `tests.model.journeys`, the stage table by `tests.model.stagetable`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from tests.model import order_of
from tests.model.identity import History, persons
from tests.model.journeys import Journey, amends, is_own, journeys
from tests.model.reading import histories, iso, microseconds, read, things, whose
from tests.model.stagetable import StageTable, stage_table

Answer = dict[str, Any]
FIRST_RECEIVED_US = microseconds("3000-01-01T00:00:00+00:00")
"""Every request is received a second after the one before: when exactly does not matter, the order does."""


class Plain:
    """Everything that was done so far, and the answers that follow. `shared_over`: a handle of more customers identifies nobody.

    No two touchpoints of different ids may be of one time: which of them decides after an erasure is the installation's secret.
    """

    def __init__(self, shared_over: int) -> None:
        self.history = History(shared_over, str)
        self.requests = 0

    def post(self, source: str, sent: Sequence[Answer]) -> None:
        """One request of touchpoints as they were sent, from a source that is its own system."""
        received = iso(self._next_us())
        stamped = [one | {"source": source, "system": source, "received_at": received} for one in sent]
        self.history.take([read(json.dumps(one).encode()) for one in stamped])

    def decide(self, action: str, identities: Sequence[str]) -> None:
        """A link or an unlink, later than all before."""
        at_us = self._next_us()
        self.history.decide({"id": str(at_us), "action": action, "identities": list(identities), "at_us": at_us})

    def erase(self, identity: str) -> None:
        """The person whom an identity resolves to, with everything up to now."""
        self.history.erase(identity, self._next_us())

    def _next_us(self) -> int:
        self.__dict__.pop("now", None)
        self.requests += 1
        return FIRST_RECEIVED_US + self.requests * 1_000_000

    @cached_property
    def now(self) -> Known:
        """What is known now."""
        return Known(self.history)


class Known:
    """All answers about one history."""

    def __init__(self, history: History) -> None:
        everything = history.arrived, history.shared_over, history.commands, history.marks
        self.identities = history.identities
        self.people, self.histories = persons(*everything), histories(*everything)
        self.whose = whose(self.people)
        linked = {identity for one in self.identities.links.classes for identity in one}
        self.names = linked | {identity for one in history.kept for identity in one["identities"]}
        """Known by name: of what was erased to the last touchpoint nobody is told."""

    # -- people -------------------------------------------------------------------------------------------------------------

    def root(self, identity: str, at_us: int) -> str | None:
        """The root of the person that an identity belongs to; a root without a touchpoint of its own is asked about in turn."""
        if identity not in self.names:
            return None
        while (root := self.identities.root_at(identity, at_us)) != identity:
            if root in self.people:
                return root
            identity = root
        return identity if identity in self.people else None

    def person(self, identity: str, at_us: int) -> Answer | None:
        """What `GET /v1/persons/…` says of a person, but for ids and versions."""
        root = self.root(identity, at_us)
        if root is None:
            return None
        return {
            "identities": sorted(one for one in self.names if self.identities.root_at(one, at_us) == root),
            "touchpoints": len(self.people[root]),
            "journeys": [told(journey) for journey in journeys(self.histories[root])],
        }

    def touchpoints(self, identity: str, at_us: int) -> list[tuple[str, str, str]] | None:
        """(source, id, time) of a person's touchpoints, the newest first."""
        root = self.root(identity, at_us)
        if root is None:
            return None
        newest = sorted(self.people[root], key=order_of, reverse=True)
        return [(one["source"], one["id"], iso(one["time_us"])) for one in newest]

    def cases(self, from_us: int, to_us: int) -> set[tuple[str, str]]:
        """(system, case_id) of the cases that opened in [from, to)."""
        return {thing for thing, at_us in self._first("case:").items() if from_us <= at_us < to_us}

    # -- figures ------------------------------------------------------------------------------------------------------------

    def stages(self, from_us: int, to_us: int, as_of_us: int, which: str, unit: str) -> StageTable:
        return stage_table(self.histories.values(), from_us, to_us, as_of_us, which, unit)

    def kpis(self, from_us: int, to_us: int) -> dict[str, int]:
        """The totals of a period."""
        inside = [one for own in self.people.values() for one in own if from_us <= one["time_us"] < to_us]
        active = {
            root
            for root, own in self.people.items()
            if any(one["actor"] == "customer" and from_us <= one["time_us"] < to_us for one in own)
        }
        started = [journey for own in self.histories.values() for journey in journeys(own)]
        orders = self._first("order:")
        cancelled = self._cancelled()
        return {
            "touchpoints": len(inside),
            "people": len(active),
            "journeys": sum(from_us <= journey.started_us < to_us for journey in started),
            "cases_opened": len(self.cases(from_us, to_us)),
            "orders": sum(from_us <= at_us < to_us for at_us in orders.values())
            - sum(from_us <= at_us < to_us for at_us in cancelled.values()),
        }

    def _first(self, kind: str) -> dict[tuple[str, str], int]:
        """When the first touchpoint about each order or case happened, of the person whose it is."""
        times: dict[tuple[str, str], int] = {}
        for thing, root in self.whose.items():
            if thing.startswith(kind):
                facet = kind[:-1]
                about = [one for one in self.histories[root] if one[facet] is not None and thing in things(one)]
                system, _, id = thing.removeprefix(kind).partition("/")
                times[system, id] = min(one["time_us"] for one in about if is_own(one))
        return times

    def _cancelled(self) -> dict[tuple[str, str], int]:
        """When each order was cancelled, if it was."""
        times: dict[tuple[str, str], int] = {}
        for thing, root in self.whose.items():
            about = [one for one in self.histories[root] if one["order"] is not None and thing in things(one)]
            if moments := [one["time_us"] for one in about if one["order"]["action"] == "cancelled" and amends(one)]:
                system, _, id = thing.removeprefix("order:").partition("/")
                times[system, id] = max(min(moments), self._first("order:")[system, id])
        return times


def told(journey: Journey) -> Answer:
    """A journey as the API tells it, but for ids and what hangs on the present."""
    return {
        "started_at": iso(journey.started_us),
        "last_at": iso(journey.last_us),
        "entry_stage": journey.entry_stage,
        "current_stage": journey.current_stage,
        "furthest_stage": journey.furthest_stage,
        "touchpoints": len(journey.members),
        "stages": [
            {
                "stage": stage,
                "reached_at": None if of.reached_us is None else iso(of.reached_us),
                "left_at": None if of.left_us is None else iso(of.left_us),
                "touchpoints": of.touchpoints,
            }
            for stage, of in journey.stages.items()
            if of.reached_us is not None or of.touchpoints
        ],
    }
