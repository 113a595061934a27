"""What bringing one person up to date changed, month by month."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.facts import CaseFact, Ended, Fact
from services.journey.store.people import Change, Facts, Month, Person, encode


class Folded(NamedTuple):
    """A person brought up to date, and what that changed."""

    person: Person
    changes: list[Change]
    ended: list[Ended]
    ended_gone: list[str]
    cases: list[CaseFact]
    cases_gone: list[tuple[str, str]]


class Outcome:
    """Collects what changed for one person."""

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
