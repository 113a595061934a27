"""Brings people up to date: on from the kept state where touchpoints came in order, anew where not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
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
from services.journey.store.releases import Releases
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

    def __init__(
        self,
        people: People,
        touchpoints: Touchpoints,
        releases: Releases,
        rules: FoldRules,
        derive: Derive,
        bot_touchpoints: int,
    ) -> None:
        self._people, self._touchpoints, self._releases = people, touchpoints, releases
        self._rules, self._bot_touchpoints = rules, bot_touchpoints
        self._refolding = Refolding(people, touchpoints, rules, derive)

    def reconsider(self, tx: Connection, roots: Collection[int], affected: dict[int, Affected]) -> None:
        """Releases hold for these now or do no more: whom that may set aside, or bring back, is affected by it."""
        others = set(roots).difference(affected)
        people = self._people.read(tx, others) if others else {}
        over = {root: person for root, person in people.items() if person.touchpoints > self._bot_touchpoints}
        released = self._releases.hold_for(tx, over)
        for root, person in over.items():
            if person.suspected_bot == (root in released):
                affected[root] = Affected()
                affected[root].touch(BEGINNING_US, END_US, more=0)

    def follow(self, tx: Connection, identities: Iterable[int], affected: dict[int, Affected]) -> None:
        """These identities may have changed hands: so may the releases that name them."""
        self.reconsider(tx, self._releases.follow(tx, identities), affected)

    def fold(self, tx: Connection, affected: dict[int, Affected], person_ids: Callable[[int], UUID]) -> list[Folded]:
        """Bring these people, by root, up to date."""
        known = self._people.read(tx, affected)
        people = {root: known.get(root) or new_person(root, person_ids(root)) for root in affected}
        counts = self._counts(tx, people.values(), affected)
        over = {root for root, count in counts.items() if count > self._bot_touchpoints}
        aside = over - self._releases.hold_for(tx, over)
        runs, tasks, folded = [], [], []
        for root, person in people.items():
            if not person.version and not counts[root]:
                continue  # everything new of somebody new was refused
            person = person._replace(touchpoints=counts[root])
            run = self._in_order(person, affected[root]) if root not in aside else None
            if run is not None:
                runs.append(run)
            elif root in aside and person.suspected_bot:
                folded.append(Outcome(person).folded())
            else:
                tasks.append(_task(person, affected[root], root in aside))
        months = self._people.months(tx, {(run.person.root, month) for run in runs for month, _ in run.fold.facts})
        folded += [self._merge(run, months) for run in runs]
        return folded + self._refolding.fold(tx, tasks)

    def _in_order(self, person: Person, affected: Affected) -> _Run | None:
        """Go on from the kept state; None if that is not enough."""
        if affected.to_us != BEGINNING_US or person.suspected_bot:
            return None
        added = affected.added
        if len(added) > 1:
            added = sorted(added, key=key_of)
        if key_of(added[0]) <= person.last:
            return None
        month = None if person.last == NO_KEY else self._rules.calendar.month_of(person.last.time_us)
        fold = Fold(UUID(person.person_id), self._rules, decode_state(person.state), month)
        for derived in added:
            fold.advance(derived)
        fold.finish()
        return _Run(person._replace(last=key_of(added[-1]), state=encode_state(fold.state)), fold)

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

    def _counts(self, tx: Connection, people: Iterable[Person], affected: dict[int, Affected]) -> dict[int, int]:
        """How many touchpoints each has now."""
        counts: dict[int, int] = {}
        unclear = []
        for person in people:
            one = affected[person.root]
            if one.more is None:
                unclear.append(person.root)
            else:
                counts[person.root] = person.touchpoints + len(one.added) + one.more
        if unclear:
            counts |= dict.fromkeys(unclear, 0) | self._touchpoints.count(tx, unclear)
        return counts


def _task(person: Person, affected: Affected, is_aside: bool) -> Task:
    for derived in affected.added:
        affected.touch(derived.time_us)
    return Task(person, affected.from_us, affected.to_us, is_aside)


def new_person(root: int, person_id: UUID) -> Person:
    return Person(root, str(person_id), 0, 0, False, False, NO_KEY, encode_state(State()))
