"""Folds people anew: each from the month of the first change on, until its state equals a kept one or its touchpoints end.

All people of a batch go together, so that the number of statements does not grow with them: their months, their touchpoints up to
where a kept state may be met, and, for those that did not meet it, the rest. Whoever has very many comes alone, slice by slice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import Connection

from services.journey.domain.derive import Derived
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import Key, State, decode_state, encode_state
from services.journey.store.identities import BEGINNING_US, END_US
from services.journey.store.outcome import Folded, Outcome
from services.journey.store.people import Facts, Month, People, Person, decode
from services.journey.store.touchpoints import OfOthers, Span, Touchpoints

NO_KEY = Key(BEGINNING_US, 0, 0, "", "")
FIRST_MONTH, LAST_MONTH = -(2**31), 2**31
SLICE = 2_000
"""How many touchpoints of one person are read at a time, at least where their times differ."""


class Derive(Protocol):
    """Reads a touchpoint's bytes."""

    def __call__(self, body: bytes, original_us: int | None = None) -> Derived:
        """What they say. Stored ones were put right by their clock: give the `original_us` that is stored. Raises Rejected."""
        ...


class Task(NamedTuple):
    """A person to fold anew because of changes in [from, to], or who `is_aside`: of whom nothing is told any more."""

    person: Person
    from_us: int
    to_us: int
    is_aside: bool = False


class Other(NamedTuple):
    """Somebody else's touchpoint on a person's orders and cases; `amends` are those (as identities) that it has an effect on."""

    derived: Derived
    amends: Collection[str]


class _Refold:
    """One person's fold on its way. `earlier` and `rebuilt` are the kept months before the fold began and from there on."""

    def __init__(self, task: Task, kept: Sequence[Month], rules: FoldRules) -> None:
        calendar, person = rules.calendar, task.person
        self._calendar = calendar
        first = FIRST_MONTH if person.suspected_bot else calendar.month_of(task.from_us)
        self.earlier = [month for month in kept if month.month < first]
        self.rebuilt = [month for month in kept if month.month >= first]
        self.from_us = calendar.month_start_us(first) if self.earlier else BEGINNING_US
        changed = calendar.month_of(task.to_us) if task.to_us < END_US else LAST_MONTH
        self.meeting = next((month for month in self.rebuilt if month.month > max(changed, first)), None)
        self.middle_us = END_US if self.meeting is None else calendar.month_start_us(self.meeting.month)
        self.person = person._replace(suspected_bot=False)
        state = decode_state(self.rebuilt[0].opening if self.rebuilt else person.state)
        before = self.earlier[-1].month if self.earlier else None
        self.fold = Fold(UUID(person.person_id), rules, state, before, reopened=True)
        self.last: Key | None = None

    def advance(self, own: Sequence[Derived], others: Sequence[Other]) -> None:
        """Take touchpoints of the person, and of others on the person's orders and cases."""
        self.last = advance(self.fold, own, others) or self.last

    def meets(self) -> bool:
        """Whether the fold has come to the state that is kept for the month after the changes."""
        return self.meeting is not None and self.fold.opening() == self.meeting.opening

    def things(self) -> set[str]:
        """The orders and cases, as identities, that the person's earlier touchpoints were about."""
        state = self.fold.state
        return {key.replace("/", ":", 1) for key in (*state.orders, *state.cases)}

    def met(self) -> Folded:
        """What follows stands; what was still open at the meeting point is as it was kept."""
        assert self.meeting is not None
        state = decode_state(self.meeting.opening)
        open_keys = {fact.key for fact in state.carried()}
        if state.journey is not None:
            open_keys.add(f"ended/{state.journey.cohort.id}")
        self.fold.facts = {place: fact for place, fact in self.fold.facts.items() if place[1] not in open_keys}
        rebuilt = [month for month in self.rebuilt if month.month < self.meeting.month]
        restored = {month.month: {key: raw for key, raw in decode(month.facts).items() if key in open_keys} for month in rebuilt}
        return self._outcome(Outcome(self.person), rebuilt, restored)

    def from_month_before(self) -> Task:
        """Nothing is left since the fold began: what the person was when the month before ended has to be found out anew."""
        from_us = self._calendar.month_start_us(self.earlier[-1].month)
        return Task(self.person, from_us, END_US)

    def ended(self, last: Key) -> Folded:
        """The person after the newest touchpoint, `last`."""
        self.fold.finish()
        person = self.person._replace(last=last, state=encode_state(self.fold.state))
        return self._outcome(Outcome(person), self.rebuilt, {})

    def _outcome(self, outcome: Outcome, rebuilt: Sequence[Month], restored: dict[int, Facts]) -> Folded:
        """Rebuilt months hold what the fold says and what is restored; of earlier ones the fold may have changed a fact after all."""
        old = {month.month: month for month in rebuilt}
        for number in sorted(old.keys() | self.fold.openings.keys()):
            facts = {key: fact for (month, key), fact in self.fold.facts.items() if month == number}
            kept = decode(old[number].facts) if number in old else {}
            opening = self.fold.openings.get(number, b"")
            outcome.month(old.get(number), number, opening, kept, outcome.laid_over(restored.get(number, {}), facts))
        for early in self.earlier:
            facts = {key: fact for (month, key), fact in self.fold.facts.items() if month == early.month}
            if facts:
                kept = decode(early.facts)
                outcome.month(early, early.month, early.opening, kept, outcome.laid_over(kept, facts))
        return outcome.folded()


def advance(fold: Fold, own: Iterable[Derived], others: Iterable[Other]) -> Key | None:
    """Take all these in their order (of two copies of one moment the one with the lesser anchor first); the place of the last that counts."""
    stream: list[tuple[Key, str, Derived, Other | None]] = [(key_of(derived), derived.anchor, derived, None) for derived in own]
    stream += [(key_of(other.derived), other.derived.anchor, other.derived, other) for other in others]
    stream.sort(key=lambda entry: entry[:2])
    last = None
    for key, _, derived, other in stream:
        if other is None:
            fold.advance(derived)
        elif not fold.meet(derived, other.amends):
            continue
        last = key
    return last


class Refolding:
    """Folds anew in the caller's transaction; the caller holds the locks and writes what comes out."""

    def __init__(self, people: People, touchpoints: Touchpoints, rules: FoldRules, derive: Derive) -> None:
        self._people, self._touchpoints = people, touchpoints
        self._rules, self._derive = rules, derive

    def fold(self, tx: Connection, tasks: Sequence[Task]) -> list[Folded]:
        """Every person of the tasks, brought up to date."""
        if not tasks:
            return []
        kept = self._people.months_of(tx, [task.person.root for task in tasks])
        folded, refolds = [], []
        for task in tasks:
            months = kept.get(task.person.root, [])
            if task.person.touchpoints > 0 and not task.is_aside:
                refolds.append(_Refold(task, months, self._rules))
            else:
                folded.append(_set_aside(task, months))
        self._feed(tx, [(refold, refold.from_us, refold.middle_us) for refold in refolds])
        unmet = []
        for refold in refolds:
            if refold.meets():
                folded.append(refold.met())
            else:
                unmet.append(refold)
        self._feed(tx, [(refold, refold.middle_us, END_US) for refold in unmet if refold.meeting is not None])
        folded += [refold.ended(refold.last) for refold in unmet if refold.last is not None]
        return folded + self.fold(tx, [refold.from_month_before() for refold in unmet if refold.last is None])

    def _feed(self, tx: Connection, spans: Sequence[tuple[_Refold, int, int]]) -> None:
        """Advance each over its touchpoints in [from, to): together, but for those who have so many that they come in slices."""
        if together := [span for span in spans if span[0].person.touchpoints <= SLICE]:
            self._feed_together(tx, together)
        for refold, from_us, to_us in spans:
            if refold.person.touchpoints > SLICE:
                while from_us < to_us:
                    next_us = min(self._touchpoints.time_after(tx, refold.person.root, from_us, SLICE) or END_US, to_us)
                    self._feed_together(tx, [(refold, from_us, next_us)])
                    from_us = next_us

    def _feed_together(self, tx: Connection, spans: Sequence[tuple[_Refold, int, int]]) -> None:
        own_stored = self._touchpoints.of_owners(tx, [Span(refold.person.root, *span) for refold, *span in spans])
        own = {root: [self._derive(*one) for one in stored] for root, stored in own_stored.items()}
        wanted: list[tuple[Span, Collection[str]]] = []
        for refold, from_us, to_us in spans:
            root, known = refold.person.root, refold.things()
            wanted.append((Span(root, from_us, to_us), known))
            wanted.append((Span(root, BEGINNING_US, to_us), things_of(own.get(root, ())) - known))
        others = self._touchpoints.of_others(tx, wanted)
        for refold, from_us, _ in spans:
            root = refold.person.root
            refold.advance(own.get(root, ()), [self._other(one, from_us) for one in others.get(root, ())])

    def _other(self, one: OfOthers, from_us: int) -> Other:
        """What came before the fold began only tells whose a thing is that is new to the person since."""
        derived = self._derive(one.body, one.original_us)
        return Other(derived, one.amends if derived.time_us >= from_us else ())


def key_of(derived: Derived) -> Key:
    return Key(derived.time_us, derived.original_us, derived.case_rank, derived.source, derived.id)


def things_of(touchpoints: Iterable[Derived]) -> set[str]:
    """The orders and cases, as identities, that touchpoints name."""
    return {name for derived in touchpoints for name in derived.identities if name.startswith(("order:", "case:"))}


def _set_aside(task: Task, kept: Sequence[Month]) -> Folded:
    """Nothing is left of a person, or far too much to be one: no facts."""
    nothing = encode_state(State())
    person = task.person._replace(suspected_bot=task.is_aside, last=NO_KEY, state=nothing)
    outcome = Outcome(person)
    for month in kept:
        outcome.month(month, month.month, b"", decode(month.facts), {})
    return outcome.folded()
