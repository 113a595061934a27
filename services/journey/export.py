"""Everything that journey holds on a person, as one JSON document in parts.

Read in one snapshot, page by page, so that neither the history nor the answer is ever in memory as a whole. What was seen with a
person's identities in the touchpoints of other people stays out: that is theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import msgspec

from schemas.calendar import month_text
from schemas.facts import Fact
from schemas.identity import rank_key
from schemas.times import format_time
from services.journey import answers
from services.journey.domain.describe import Description, describe
from services.journey.grounds import Showing, told_command
from services.journey.store.people import Person, decode
from services.journey.store.read import Reading, facts_of
from services.journey.store.refolding import Derive
from services.journey.store.resolving import Resolving

PAGE = 500
One = TypeVar("One")


class Export:
    """Writes in the caller's snapshot."""

    def __init__(self, reading: Reading, resolving: Resolving, showing: Showing, derive: Derive, now_us: int) -> None:
        self._reading, self._resolving, self._showing = reading, resolving, showing
        self._derive, self._now_us = derive, now_us

    def parts(self, person: Person, at_us: int) -> Iterator[bytes]:
        """The document, piece by piece."""
        names = {**self._resolving.shared_by(person.root), **self._resolving.names_of(person.root, at_us)}
        described = describe(self._facts(person.root))
        head = {
            "exported_at": format_time(self._now_us),
            "person_id": person.person_id,
            "version": person.version,
            "suspected_bot": person.suspected_bot or person.too_large,
            "outside": answers.things(described.outside),
        }
        yield msgspec.json.encode(head)[:-1]
        lists: Mapping[str, Iterable[object]] = {
            "identities": self._identities(names, at_us),
            "evidence": self._evidence(names, person.root, at_us),
            "journeys": (answers.journey(journey, self._now_us) for journey in described.journeys),
            "cases": _cases(described),
            "touchpoints": self._touchpoints(person.root),
            "facts": self._stated(person.root),
            "commands": self._commands(names, person.root),
            "mentions": self._mentions(names, person.root),
        }
        for name, rows in lists.items():
            yield b"," + msgspec.json.encode(name) + b":["
            yield from _joined(rows)
            yield b"]"
        yield b"}\n"

    def _identities(self, names: Mapping[str, int], at_us: int) -> Iterator[dict[str, Any]]:
        for name in sorted(names, key=rank_key):
            owned = self._resolving.owned(names[name], at_us)
            company = self._resolving.name(owned.company) if owned.company is not None else None
            yield answers.identity(name, owned, company, self._resolving.linked_to(names[name]))

    def _evidence(self, names: Mapping[str, int], root: int, at_us: int) -> Iterator[dict[str, Any]]:
        """By identity, the newest first."""
        for name in sorted(names, key=rank_key):
            page = self._showing.evidence(names[name], root, at_us, None, PAGE, own=True)
            while True:
                yield from ({"identity": name} | row for row in page.rows)
                if page.next_place is None:
                    break
                page = self._showing.evidence(names[name], root, at_us, page.next_place, PAGE, own=True)

    def _touchpoints(self, root: int) -> Iterator[dict[str, Any]]:
        """The oldest first, each copy of it. `sent` is the touchpoint as ingest took it."""
        place = None
        while page := self._reading.oldest(root, place, PAGE):
            for stored in page:
                derived = self._derive(stored.body)
                yield {
                    "id": derived.id,
                    "source": derived.source,
                    "type": derived.type,
                    "time": format_time(stored.place.time_us),
                    "identities": derived.identities,
                    "sent": msgspec.Raw(stored.body),
                }
            place = page[-1].place

    def _stated(self, root: int) -> Iterator[dict[str, Any]]:
        """Facts as they are published, by month and key."""
        for month in self._reading.each_month(root):
            for key, fact in decode(month.facts).items():
                yield {"month": month_text(month.month), "key": key, "fact": fact}

    def _facts(self, root: int) -> Iterator[Fact]:
        for month in self._reading.each_month(root):
            yield from facts_of(month).values()

    def _commands(self, names: Mapping[str, int], root: int) -> list[dict[str, Any]]:
        found = self._showing.commands({root, *names.values()})
        return [told_command(one) | {"identities": self._resolving.names(one.identities)} for one in found]

    def _mentions(self, names: Mapping[str, int], root: int) -> Iterator[dict[str, Any]]:
        """Where others' touchpoints name this person. Whose they are is not told."""
        listed = iter(sorted({self._resolving.name(root), *names}))
        while batch := list(islice(listed, PAGE)):
            for one in self._reading.mentions(batch, root):
                time = format_time(one.time_us)
                yield {"kind": one.kind, "identity": one.name, "time": time, "source": one.source, "id": one.id}


def _cases(described: Description) -> list[dict[str, Any]]:
    groups = [described.outside, *(journey.things for journey in described.journeys)]
    return [answers.case(case) for things in groups for case in things.cases]


def _joined(rows: Iterable[object]) -> Iterator[bytes]:
    separator = b"\n"
    for row in rows:
        yield separator + msgspec.json.encode(row)
        separator = b",\n"
