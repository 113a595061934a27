"""Brings people up to date: on from the kept state where touchpoints came in order, anew where not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from schemas.facts import Fact
from services.journey.domain.derive import Derived
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import State, decode_state, encode_state
from services.journey.store.identities import BEGINNING_US, END_US
from services.journey.store.outcome import Folded, Outcome
from services.journey.store.people import Month, People, Person, decode
from services.journey.store.refolding import NO_KEY, Derive, Refolding, Task, key_of
from services.journey.store.touchpoints import Touchpoints


@dataclass
class Affected:
    """What a batch does to one person: touchpoints that were added, and the times within which anything else changed.

    `more` is by how many the person's touchpoints became more or fewer by that, None if they have to be counted.
    """

    added: list[Derived] = field(default_factory=list)
    from_us: int = END_US
    to_us: int = BEGINNING_US
    more: int | None = 0

    def touch(self, time_us: int, through_us: int | None = None, *, more: int | None = None) -> None:
        """Something changed at this time (or from it through another) that is no simple addition: the person is folded anew from there."""
        self.more = self.more + more if self.more is not None and more is not None else None
        self.from_us, self.to_us = min(self.from_us, time_us), max(self.to_us, time_us if through_us is None else through_us)


class _Run(NamedTuple):
    """A person folded on from the kept state."""

    person: Person
    fold: Fold


class Folding:
    """Folds people in the caller's transaction; the caller holds their locks and writes what comes out."""

    def __init__(self, people: People, touchpoints: Touchpoints, rules: FoldRules, derive: Derive, bot_touchpoints: int) -> None:
        self._people, self._touchpoints = people, touchpoints
        self._rules, self._bot_touchpoints = rules, bot_touchpoints
        self._refolding = Refolding(people, touchpoints, rules, derive, bot_touchpoints)

    def fold(self, tx: Connection, affected: dict[int, Affected], person_ids: Callable[[int], UUID]) -> list[Folded]:
        """Bring these people, by root, up to date."""
        known = self._people.read(tx, affected)
        people = {root: known.get(root) or new_person(root, person_ids(root)) for root in affected}
        runs, anew = [], []
        for root, person in people.items():
            run = self._in_order(person, affected[root])
            if run is None:
                anew.append(person)
            else:
                runs.append(run)
        months = self._people.months(tx, {(run.person.root, month) for run in runs for month, _ in run.fold.facts})
        folded = [self._merge(run, months) for run in runs]
        aside: list[Task] = []
        tasks: list[Task] = []
        for task in self._tasks(tx, anew, affected):
            stays = task.person.suspected_bot and task.touchpoints > self._bot_touchpoints
            (aside if stays else tasks).append(task)
        folded += [Outcome(task.person._replace(touchpoints=task.touchpoints)).folded() for task in aside]
        return folded + self._refolding.fold(tx, tasks)

    def _in_order(self, person: Person, affected: Affected) -> _Run | None:
        """Go on from the kept state; None if that is not enough."""
        if affected.to_us != BEGINNING_US:
            return None
        added = affected.added
        if len(added) > 1:
            added = sorted(added, key=key_of)
        count = person.touchpoints + len(added)
        if key_of(added[0]) <= person.last or person.suspected_bot or count > self._bot_touchpoints:
            return None
        month = None if person.last == NO_KEY else self._rules.calendar.month_of(person.last.time_us)
        fold = Fold(UUID(person.person_id), self._rules, decode_state(person.state), month)
        for derived in added:
            fold.advance(derived)
        fold.finish()
        return _Run(person._replace(touchpoints=count, last=key_of(added[-1]), state=encode_state(fold.state)), fold)

    def _merge(self, run: _Run, months: dict[tuple[int, int], Month]) -> Folded:
        """Lay the facts of a run over those that are kept."""
        by_month: dict[int, dict[str, Fact | None]] = {}
        for (month, key), fact in run.fold.facts.items():
            by_month.setdefault(month, {})[key] = fact
        outcome = Outcome(run.person)
        for month, facts in by_month.items():
            old = months.get((run.person.root, month))
            kept = decode(old.facts) if old is not None else {}
            opening = run.fold.openings.get(month) or (old.opening if old is not None else b"")
            outcome.month(old, month, opening, kept, outcome.laid_over(kept, facts))
        return outcome.folded()

    def _tasks(self, tx: Connection, people: list[Person], affected: dict[int, Affected]) -> list[Task]:
        unclear = [person.root for person in people if affected[person.root].more is None]
        counts = self._touchpoints.count(tx, unclear) if unclear else {}
        tasks = []
        for person in people:
            one = affected[person.root]
            count = counts.get(person.root, 0) if one.more is None else person.touchpoints + len(one.added) + one.more
            for derived in one.added:
                one.touch(derived.time_us, more=0)
            tasks.append(Task(person, one.from_us, one.to_us, count))
        return tasks


def new_person(root: int, person_id: UUID) -> Person:
    return Person(root, str(person_id), 0, 0, False, NO_KEY, encode_state(State()))
