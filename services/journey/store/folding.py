"""Brings people up to date: on from the kept state where touchpoints came in order, anew from the nearest kept month where not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from schemas.facts import CaseFact, Ended, Fact
from services.journey.domain.derive import Derived
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import Key, State, decode_state, encode_state
from services.journey.store.identities import BEGINNING_US, END_US
from services.journey.store.people import Change, Facts, Month, People, Person, decode, encode
from services.journey.store.touchpoints import Touchpoints

Derive = Callable[[bytes], Derived]
NO_KEY = Key(BEGINNING_US, 0, 0, "", "")


@dataclass
class Affected:
    """What a batch does to one person: touchpoints that were added, and the times within which anything else changed."""

    added: list[Derived] = field(default_factory=list)
    from_us: int = END_US
    to_us: int = BEGINNING_US

    def touch(self, time_us: int, through_us: int | None = None) -> None:
        """Something changed at this time (or from it through another) that is no simple addition: the person is folded anew from there."""
        self.from_us, self.to_us = min(self.from_us, time_us), max(self.to_us, time_us if through_us is None else through_us)


class Folded(NamedTuple):
    """A person brought up to date, and what that changed."""

    person: Person
    changes: list[Change]
    ended: list[Ended]
    ended_gone: list[str]
    cases: list[CaseFact]
    cases_gone: list[tuple[str, str]]


def key_of(derived: Derived) -> Key:
    return Key(derived.time_us, derived.original_us, derived.case_rank, derived.source, derived.id)


class Folding:
    """Folds people in the caller's transaction; the caller holds their locks and writes what comes out."""

    def __init__(self, people: People, touchpoints: Touchpoints, rules: FoldRules, derive: Derive, bot_touchpoints: int) -> None:
        self._people, self._touchpoints = people, touchpoints
        self._rules, self._derive, self._bot_touchpoints = rules, derive, bot_touchpoints

    def fold(self, tx: Connection, affected: dict[int, Affected], person_ids: Callable[[int], UUID]) -> list[Folded]:
        """Bring these people, by root, up to date."""
        known = self._people.read(tx, affected)
        started = {
            root: self._in_order(known.get(root) or new_person(root, person_ids(root)), one) for root, one in affected.items()
        }
        runs = {root: run for root, run in started.items() if run is not None}
        counts = self._touchpoints.count(tx, [root for root, run in started.items() if run is None])
        months = self._people.months(tx, {(root, month) for root, run in runs.items() for month, _ in run.fold.facts})
        folded = [self._merge(run, months) for run in runs.values()]
        for root, run in started.items():
            if run is None:
                person = known.get(root) or new_person(root, person_ids(root))
                folded.append(self._anew(tx, person, affected[root], counts.get(root, 0)))
        return folded

    # -- in order -----------------------------------------------------------------------------------------------------------

    def _in_order(self, person: Person, affected: Affected) -> _Run | None:
        """Go on from the kept state; None if that is not enough."""
        if affected.to_us != BEGINNING_US:
            return None
        added = sorted(affected.added, key=key_of)
        count = person.touchpoints + len(added)
        if key_of(added[0]) <= person.last or person.suspected_bot or count > self._bot_touchpoints:
            return None
        month = None if person.last == NO_KEY else self._rules.calendar.month(person.last.time_us)
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
        root = run.person.root
        outcome = Outcome(run.person)
        for month, facts in by_month.items():
            old = months.get((root, month))
            kept = decode(old.facts) if old is not None else {}
            new = outcome.laid_over(kept, facts)
            opening = run.fold.openings.get(month) or (old.opening if old is not None else b"")
            outcome.month(old, month, opening, kept, new)
        return outcome.folded()

    # -- anew ---------------------------------------------------------------------------------------------------------------

    def _anew(self, tx: Connection, person: Person, affected: Affected, count: int) -> Folded:
        """Fold a person from the month of the first change on, until the state equals a kept one or touchpoints end."""
        for derived in affected.added:
            affected.touch(derived.time_us)
        if count == 0 or count > self._bot_touchpoints:
            return self._set_aside(tx, person, count)
        from_month = self._rules.calendar.month(affected.from_us) if not person.suspected_bot else -(2**31)
        kept = self._people.months_of(tx, person.root)
        later = [month for month in kept if month.month >= from_month]
        state = decode_state(later[0].opening) if later else decode_state(person.state)
        before = max((month.month for month in kept if month.month < from_month), default=None)
        fold = Fold(UUID(person.person_id), self._rules, state, before, reopened=True)
        from_us = self._rules.calendar.month_start_us(from_month) if before is not None else BEGINNING_US
        return self._refold(tx, person._replace(touchpoints=count, suspected_bot=False), fold, kept, from_us, affected.to_us)

    def _refold(self, tx: Connection, person: Person, fold: Fold, kept: list[Month], from_us: int, changed_to_us: int) -> Folded:
        calendar = self._rules.calendar
        from_month = calendar.month(from_us) if from_us != BEGINNING_US else -(2**31)
        changed_month = calendar.month(changed_to_us) if changed_to_us < END_US else 2**31
        meeting = next((month for month in kept if month.month > changed_month and month.month > from_month), None)
        middle_us = calendar.month_start_us(meeting.month) if meeting is not None else END_US
        last = self._feed(tx, fold, person.root, from_us, middle_us)
        earlier = [month for month in kept if month.month < from_month]
        rebuilt = [month for month in kept if month.month >= from_month]
        if meeting is not None:
            fold.open_month(meeting.month)
            if fold.openings[meeting.month] == meeting.opening:
                return self._met(person, fold, earlier, [month for month in rebuilt if month.month < meeting.month], meeting)
            last = self._feed(tx, fold, person.root, middle_us, END_US) or last
        fold.finish()
        outcome = Outcome(person._replace(last=last or person.last, state=encode_state(fold.state)))
        self._rebuild(outcome, fold, rebuilt, restored={})
        self._amend(outcome, fold, earlier)
        return outcome.folded()

    def _met(self, person: Person, fold: Fold, earlier: list[Month], rebuilt: list[Month], meeting: Month) -> Folded:
        """The state met the kept one: what follows stands, and what is still open at that point is as it was kept."""
        state = decode_state(meeting.opening)
        open_keys = {
            carried.key for carried in (*state.orders.values(), *state.cases.values(), *state.visits.values()) if carried
        }
        if state.journey is not None:
            open_keys.add(f"ended/{state.journey.cohort.id}")
        outcome = Outcome(person)
        fold.facts = {place: fact for place, fact in fold.facts.items() if place[1] not in open_keys}
        restored = {month.month: {key: raw for key, raw in decode(month.facts).items() if key in open_keys} for month in rebuilt}
        fold.openings.pop(meeting.month)
        self._rebuild(outcome, fold, rebuilt, restored)
        self._amend(outcome, fold, earlier)
        return outcome.folded()

    def _amend(self, outcome: Outcome, fold: Fold, earlier: list[Month]) -> None:
        """Facts of months before the fold began that it changed after all."""
        for month in earlier:
            facts = {key: fact for (of, key), fact in fold.facts.items() if of == month.month}
            if facts:
                kept = decode(month.facts)
                outcome.month(month, month.month, month.opening, kept, outcome.laid_over(kept, facts))

    def _rebuild(self, outcome: Outcome, fold: Fold, rebuilt: list[Month], restored: dict[int, Facts]) -> None:
        """Months written from scratch: what the fold says, and what is restored; kept months without either are gone."""
        old = {month.month: month for month in rebuilt}
        for number in sorted(old.keys() | fold.openings.keys()):
            facts = {key: fact for (month, key), fact in fold.facts.items() if month == number}
            new = outcome.laid_over(restored.get(number, {}), facts)
            month = old.get(number)
            kept = decode(month.facts) if month is not None else {}
            outcome.month(month, number, fold.openings.get(number, b""), kept, new)

    def _feed(self, tx: Connection, fold: Fold, root: int, from_us: int, to_us: int) -> Key | None:
        """Advance over a person's touchpoints in [from, to), with those of others on the person's orders and cases; the last own key."""
        own = [self._derive(body) for body in self._touchpoints.of_owner(tx, root, from_us, to_us)]
        mine = {(derived.source, derived.id) for derived in own}
        others = (self._derive(body) for body in self._touchpoints.on_things(tx, root, from_us, to_us))
        stream = [(key_of(derived), True, derived) for derived in own]
        stream += [(key_of(derived), False, derived) for derived in others if (derived.source, derived.id) not in mine]
        stream.sort(key=lambda entry: entry[0])
        for _, is_own, derived in stream:
            fold.advance(derived, own=is_own)
        return max((key_of(derived) for derived in own), default=None)

    def _set_aside(self, tx: Connection, person: Person, count: int) -> Folded:
        """Nothing is left of a person, or far too much to be one: no facts."""
        outcome = Outcome(person._replace(touchpoints=count, suspected_bot=count > 0, last=NO_KEY, state=encode_state(State())))
        for month in self._people.months_of(tx, person.root):
            outcome.month(month, month.month, b"", decode(month.facts), {})
        return outcome.folded()


class _Run(NamedTuple):
    person: Person
    fold: Fold


class Outcome:
    """Collects what changed for one person, month by month."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._changes: list[Change] = []
        self._put: dict[str, Fact] = {}
        self._kept: set[str] = set()
        self._gone: dict[str, bytes] = {}

    def laid_over(self, kept: Facts, facts: dict[str, Fact | None]) -> Facts:
        """Kept facts with these laid over them; None takes one away."""
        new = dict(kept)
        for key, fact in facts.items():
            if fact is None:
                new.pop(key, None)
            else:
                new[key] = msgspec.Raw(encode(fact))
                self._put[key] = fact
        return new

    def month(self, old: Month | None, month: int, opening: bytes, kept: Facts, new: Facts) -> None:
        """One month, from the facts it had to those it has. Without facts it stays, unpublished, as long as it has an opening."""
        self._kept.update(new)
        self._gone.update((key, bytes(raw)) for key, raw in kept.items() if key not in new)
        same = len(kept) == len(new) and all(key in new and bytes(raw) == bytes(new[key]) for key, raw in kept.items())
        if same and (opening == old.opening if old is not None else not opening):
            return
        facts = msgspec.json.encode(new) if new or opening else None
        self._changes.append(Change(self._person.root, self._person.person_id, month, opening, facts, not same))

    def folded(self) -> Folded:
        gone = {key: raw for key, raw in self._gone.items() if key not in self._kept}
        cases = [msgspec.json.decode(raw, type=CaseFact) for key, raw in gone.items() if key.startswith("case/")]
        return Folded(
            person=self._person,
            changes=self._changes,
            ended=[fact for fact in self._put.values() if isinstance(fact, Ended)],
            ended_gone=[key.removeprefix("ended/") for key in gone if key.startswith("ended/")],
            cases=[fact for fact in self._put.values() if isinstance(fact, CaseFact)],
            cases_gone=[(case.system, case.case_id) for case in cases],
        )


def new_person(root: int, person_id: UUID) -> Person:
    return Person(root, str(person_id), 0, 0, False, NO_KEY, encode_state(State()))
