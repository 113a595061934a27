"""Who is likely the same person: people who are not one by anything that was sent or decided. A guess, with its reason.

What is looked at is bounded: some spellings of the e-mail addresses and phone numbers of one page of identities, and the customers with
whom its handles were seen as well. Pairs that somebody parted are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from services.journey.domain.likeness import bare, spellings, tagged
from services.journey.store.commands import StoredCommand
from services.journey.store.evidence import Evidence
from services.journey.store.people import Person
from services.journey.store.resolving import Resolving

MOST = 100
"""Likely duplicates in one answer."""
MOST_SPELLED = 20
"""Of how many e-mail addresses and phone numbers of a page other spellings are tried, and how many are looked at for each prefix."""
_REASONS = {"order": "same_order", "case": "same_case"}


class Likely(NamedTuple):
    """Another person. `mine` and `theirs` are what makes it likely, for the `reason`: same_email, same_phone, same_order, same_case, or
    same_handle (which is split in time between the two)."""

    person: Person
    reason: str
    mine: str
    theirs: str


class Lead(NamedTuple):
    """Two identities that make it likely that their people are one, by number, and as the reader is told."""

    mine: int
    theirs: int
    told: tuple[str, str, str]


class Duplicates:
    """Guesses in the caller's snapshot. `owner` is the person that an identity resolves to."""

    def __init__(self, resolving: Resolving, evidence: Evidence, owner: Callable[[int], Person | None]) -> None:
        self._resolving, self._evidence, self._owner = resolving, evidence, owner

    def of(self, names: Mapping[str, int], root: int, commands: Sequence[StoredCommand]) -> list[Likely]:
        """Those that these identities of a person lead to, the likeliest first; `commands` are all that name them."""
        parted = _parted(commands)
        found: dict[int, Likely] = {}
        for lead in self._leads(names, root):
            person = self._owner(lead.theirs)
            if person is None or person.root == root:
                continue
            pairs = {frozenset((one, other)) for one in (root, lead.mine) for other in (person.root, lead.theirs)}
            if not pairs & parted:
                found.setdefault(person.root, Likely(person, *lead.told))
            if len(found) == MOST:
                break
        return list(found.values())

    def _leads(self, names: Mapping[str, int], root: int) -> Iterator[Lead]:
        spelled = [name for name in names if name.startswith(("email:", "phone:"))]
        for name in spelled[:MOST_SPELLED]:
            reason = f"same_{name.partition(':')[0]}"
            for id, theirs in self._evidence.written(spellings(name), tagged(name), MOST_SPELLED):
                if theirs not in names and (reason == "same_phone" or bare(theirs) == bare(name)):
                    yield Lead(names[name], id, (reason, name, theirs))
        for name in sorted(names, key=lambda name: not name.startswith(("order:", "case:"))):
            reason = _REASONS.get(name.partition(":")[0], "same_handle")
            for other in self._resolving.others_of(names[name], root):
                yield Lead(names[name], other, (reason, name, name))


def _parted(commands: Sequence[StoredCommand]) -> set[frozenset[int | None]]:
    """The pairs whose newest decision parts them; `commands` come in the order in which they apply."""
    newest = {frozenset((one.one, one.other)): one.action for one in commands if one.action in ("link", "unlink")}
    return {pair for pair, action in newest.items() if action == "unlink"}
