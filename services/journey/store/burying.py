"""Removes what resolves to people who are erased, and keeps ghosts of it (docs/decisions/0011)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from schemas.identity import is_customer
from services.journey.domain.identity import NEVER_US
from services.journey.store.commands import StoredCommands
from services.journey.store.departing import GoneMonth, GoneMonths
from services.journey.store.folding import Affected
from services.journey.store.ghosts import Ghosts
from services.journey.store.hiding import Hidden, is_hidden
from services.journey.store.identities import END_US, Identities
from services.journey.store.ownership import Ownership
from services.journey.store.people import People
from services.journey.store.tables import ERASED_PERSON
from services.journey.store.timing import Timing
from services.journey.store.touchpoints import NOBODY_YET, Kept, Reference, Touchpoints
from services.journey.store.versions import next_version
from services.shared.bus import partition_of
from services.shared.db import Database

Moved = Mapping[Reference, tuple[Kept, int]]


class Graveyard(NamedTuple):
    """What burials read and write."""

    database: Database
    identities: Identities
    touchpoints: Touchpoints
    people: People
    commands: StoredCommands
    ghosts: Ghosts
    hidden: Hidden
    partitions: int


def graveyard(database: Database, people: People, commands: StoredCommands) -> Graveyard:
    return Graveyard(
        database,
        Identities(database),
        Touchpoints(database),
        people,
        commands,
        Ghosts(database),
        Hidden(database),
        people.partitions,
    )


class Hands(NamedTuple):
    """What a writer does for a burial: notes whom stored touchpoints' orders, cases and copies concern, and gives them to new owners."""

    touch_things: Callable[[Connection, Iterable[int], dict[int, Affected]], None]
    touch_copies: Callable[[Connection, Collection[tuple[str, str]], Sequence[Kept], dict[int, Affected]], None]
    move: Callable[[Connection, Moved, dict[int, Affected]], None]
    timing: Timing


class Burial:
    """What one batch removes, in its transaction. Ends with `finish`, before people are folded."""

    def __init__(
        self, yard: Graveyard, hands: Hands, tx: Connection, ownership: Ownership, affected: dict[int, Affected]
    ) -> None:
        self._yard, self._hands, self._tx = yard, hands, tx
        self._ownership, self._affected = ownership, affected
        self._marked: dict[int, int] = {}
        self._just_marked: dict[int, int] = {}
        self._nameless: set[int] = set()
        self._removed: dict[int, Counter[str]] = {}
        self._changed: list[tuple[int, int]] = []
        self._retimed: list[tuple[Kept, int]] = []
        self.refused = 0
        self.void: set[tuple[int, int]] = set()
        """Pairs whose links are void because of this."""

    def settle(self, candidates: Iterable[tuple[Kept, int]], new: Collection[Reference] = ()) -> None:
        """Remove those of these touchpoints, given with their owners, that resolve to somebody who is erased; then those that come to
        do so because of that. `new` ones were never kept before: they are refused."""
        while refused := self._refused(candidates):
            self.remove(refused, new)
            candidates = self.give()

    def remove(self, refused: Mapping[Kept, int], new: Collection[Reference] = ()) -> None:
        """Put ghosts in the place of these touchpoints, each refused up to a time; identities of which nothing is left are wiped."""
        tx, yard, ownership = self._tx, self._yard, self._ownership
        sets = yard.identities.sets(tx, {kept.set_id for kept in refused})
        members = {member for one in sets for member in (*one.members, *one.as_sent)}
        ownership.accompany(tx, members)
        ownership.fresh.difference_update(members)
        self._hands.touch_things(tx, [one.id for one in sets], self._affected)
        for kept in refused:
            if kept.owner != NOBODY_YET:
                self._affected.setdefault(kept.owner, Affected()).touch(kept.time_us)
        self._retimed = self._put_clocks_right(refused, members)
        anchors = {kept.reference: ownership.plain(kept.anchor) for kept in refused}
        yard.ghosts.put(tx, yard.ghosts.of(tx, anchors, yard.hidden.hiding(tx)))
        yard.touchpoints.remove(tx, list(anchors))
        self._hands.touch_copies(tx, {(kept.source, kept.id) for kept in refused}, (), self._affected)
        yard.people.forget_former_journeys(tx, members, [(kept.source, kept.id) for kept in refused])
        self._count(refused, new)
        untils: dict[tuple[int, int], None] = {}
        of_set = {one.id: one.as_sent for one in sets}
        for kept, until_us in refused.items():
            if until_us != NEVER_US:
                untils.update(dict.fromkeys((identity, until_us) for identity in of_set[kept.set_id]))
        ownership.haunt(tx, sets, members)
        self.wipe(untils)
        self._changed = [(kept.set_id, kept.time_us) for kept in refused]
        self._changed += [(kept.set_id, us) for kept, time_us in self._retimed for us in (kept.time_us, time_us)]

    def doubtful(self) -> list[Kept]:
        """Stored touchpoints that another handle decides over than before the batch, if that may be one that is wiped."""
        return self._ownership.doubtful(self._tx) if self._ownership.has_marks() else []

    def give(self) -> Collection[tuple[Kept, int]]:
        """Stored touchpoints that belong to somebody else now change hands; returns those, as they are now, and those of whom has been
        marked since."""
        moved = self._ownership.moved(self._tx, self._changed)
        self._hands.move(self._tx, moved, self._affected)
        marked, self._just_marked = self._just_marked, {}
        theirs = (one for root, until_us in marked.items() for one in self._yard.touchpoints.of_owner(self._tx, root, until_us))
        found = {kept.reference: kept for kept in theirs}
        found |= {kept.reference: kept._replace(time_us=time_us) for kept, time_us in self._retimed}
        found |= {reference: kept._replace(owner=owner) for reference, (kept, owner) in moved.items()}
        self._retimed = []
        return [(kept, kept.owner) for kept in found.values()]

    def stir(self, members: Collection[int]) -> None:
        """Ghosts that lead to these identities refuse up to another time now."""
        known = self._ownership.view.identities
        customers = [one for one in members if is_customer(known[one].name)]
        sets = [one for customer in customers for one in self._yard.identities.sets_of_customer(self._tx, customer)]
        sets += self._yard.identities.sets_of(self._tx, members)
        haunted = [one for one in sets if one.has_ghosts]
        self._ownership.accompany(self._tx, {member for one in haunted for member in (*one.members, *one.as_sent)})
        self._changed += self._yard.ghosts.in_sets(self._tx, {one.id for one in haunted})

    def wipe(self, untils: Iterable[tuple[int, int]], *, in_any_case: bool = False) -> None:
        """Identities up to a time, if nothing of them is left up to then (or in any case), are wiped."""
        wanted = list(untils)
        first_us = self._first_us({identity for identity, _ in wanted})
        self._nameless -= first_us.keys()
        self._nameless |= {identity for identity, _ in wanted} - first_us.keys()
        wiped: dict[int, int] = {}
        for identity, until_us in wanted:
            if in_any_case or first_us.get(identity, END_US) > until_us:
                wiped[identity] = max(until_us, wiped.get(identity, NEVER_US))
        self.mark(wiped, wiped=True)

    def mark(self, untils: Mapping[int, int], *, wiped: bool = False) -> None:
        """What resolves to these identities is erased up to these times."""
        if not untils:
            return
        self._yard.identities.mark(self._tx, untils, wiped)
        self._ownership.mark(self._tx, untils)
        for identity, until_us in untils.items():
            self._marked[identity] = max(until_us, self._marked.get(identity, NEVER_US))
            self._just_marked[identity] = max(until_us, self._just_marked.get(identity, NEVER_US))

    def reveal(self, sets: Iterable[int]) -> None:
        """Identities of these sets that came again in touchpoints that are kept get their names back."""
        ownership = self._ownership
        if not ownership.hidden:
            return
        listed = self._yard.identities.sets(self._tx, set(sets))
        kept = self._yard.touchpoints.first_us(self._tx, {one.id for one in listed})
        names = {
            identity: ownership.hidden[identity]
            for one in listed
            if one.id in kept
            for identity in one.as_sent
            if identity in ownership.hidden
        }
        self._yard.identities.rename(self._tx, names)
        ownership.rename(names)

    def leave(self, identities: Iterable[int]) -> None:
        """These lost touchpoints to other copies of them: the wiped ones of which nothing is left are to lose their names."""
        known = self._ownership.view.identities
        wiped = {identity for identity in identities if known[identity].wiped_us is not None}
        self._nameless |= wiped - self._first_us(wiped).keys()

    def finish(self) -> None:
        """Forget the people and the names of which nothing is left; note what was removed for each erasure."""
        if self._marked:
            self._purge()
            self.void = self._yard.commands.take_void_links(self._tx, self._marked)
            self._leave_partners()
        if self._nameless:
            self._hide()
        self._note()

    def forget_emptied(self) -> None:
        """Nobody was ever told of people who were made anew only for what void links still led to them."""
        people = self._yard.people
        for root, person in people.read(self._tx, self._marked).items():
            if not person.touchpoints:
                people.remove(self._tx, root)

    # -- inside -------------------------------------------------------------------------------------------------------------

    def _put_clocks_right(self, removed: Iterable[Kept], members: Collection[int]) -> list[tuple[Kept, int]]:
        """What these said about their senders' clocks is no more; the stored touchpoints that have other times by that, with those."""
        tx, ownership, touchpoints = self._tx, self._ownership, self._yard.touchpoints
        ownership.ids.update((ownership.plain(member), member) for member in members)
        bodies = touchpoints.bodies(tx, [kept.reference for kept in removed])
        held = self._hands.timing.lock(tx, (), {kept.source for kept in removed})
        _, again = self._hands.timing.put_right(tx, ownership, (), {kept: bodies[kept.reference] for kept in removed}, held)
        touchpoints.retime(tx, [one.incoming.derived for one in again], [one.kept.reference for one in again])
        for one in again:
            affected = self._affected.setdefault(one.kept.owner, Affected())
            affected.touch(one.kept.time_us)
            affected.touch(one.incoming.derived.time_us)
        if again:
            self._hands.touch_things(tx, [one.kept.set_id for one in again], self._affected)
            self._hands.touch_copies(tx, {(one.kept.source, one.kept.id) for one in again}, [], self._affected)
        return [(one.kept, one.incoming.derived.time_us) for one in again]

    def _refused(self, candidates: Iterable[tuple[Kept, int]]) -> dict[Kept, int]:
        ownership = self._ownership
        if not ownership.has_marks():
            return {}
        listed = list(candidates)
        ownership.know(self._tx, {kept.set_id for kept, _ in listed})
        refused = {}
        for kept, owner in listed:
            until_us = ownership.view.refused_us(ownership.view.sets[kept.set_id], owner)
            if kept.time_us <= until_us:
                refused[kept._replace(owner=owner)] = until_us
        return refused

    def _first_us(self, identities: Collection[int]) -> dict[int, int]:
        """The time of the first touchpoint that is left of each identity, for those that have one."""
        known = self._ownership.view.identities
        sets = self._yard.identities.sets_as_sent(
            self._tx, {one: known[one].standing if is_customer(known[one].name) else None for one in identities}
        )
        firsts = self._yard.touchpoints.first_us(self._tx, {one.id for one in sets})
        found: dict[int, int] = {}
        for one in sets:
            for identity in one.as_sent:
                if identity in identities and one.id in firsts:
                    found[identity] = min(firsts[one.id], found.get(identity, END_US))
        return found

    def _purge(self) -> None:
        """People who go by what is erased are no more: what is theirs is to be published as gone. Those of whom something is left
        become new people."""
        tx, yard = self._tx, self._yard
        known = yard.people.read(tx, self._marked)
        erasures = self._erasures()
        for root, person in known.items():
            erasure = erasures.get(self._marked[root])
            months = yard.people.published_months(tx, root)
            version = next_version(yard.database, tx)
            gone = [
                GoneMonth(
                    partition_of(month_key(person.person_id, month_text(month)), yard.partitions),
                    person.person_id,
                    month,
                    version,
                    erasure,
                )
                for month in months
            ]
            GoneMonths(yard.database).put(tx, gone)
            counts = self._removed.setdefault(self._marked[root], Counter())
            counts.update(people=1, months=len(gone), **yard.people.remove(tx, root))
            hashed = yard.hidden.hiding(tx).person(person.person_id)
            yard.database.insert(
                tx, ERASED_PERSON, ("hash", "erasure"), [(hashed, erasure or "")], "ON CONFLICT (hash) DO NOTHING"
            )
            if person.touchpoints:
                self._affected.setdefault(root, Affected()).touch(0, END_US)

    def _leave_partners(self) -> None:
        """Nothing but a link, which is void now, may have been left of those who were linked to somebody erased."""
        others = {identity for couple in self.void for identity in couple} - self._marked.keys()
        self._ownership.hold(self._tx, others)
        self.leave(others)

    def _hide(self) -> None:
        """Identities of which nothing but ghosts is left lose their names, unless a link names them."""
        view, tx = self._ownership.view, self._tx
        linked = self._yard.commands.linked(tx, self._nameless)
        names = {
            identity: view.identities[identity].name
            for identity in self._nameless - linked
            if not is_hidden(view.identities[identity].name)
        }
        if names:
            hiding = self._yard.hidden.hiding(tx)
            self._yard.identities.rename(tx, {identity: hiding.name(name) for identity, name in names.items()})
            first = next(iter(self._marked.values()), NEVER_US)
            self._removed.setdefault(first, Counter()).update(identities=len(names))

    def _count(self, refused: Mapping[Kept, int], new: Collection[Reference]) -> None:
        for kept, until_us in refused.items():
            counts = self._removed.setdefault(until_us, Counter())
            if kept.reference in new:
                counts["refused"] += 1
                self.refused += 1
            else:
                counts["touchpoints"] += 1

    def count_refused(self, untils: Iterable[int]) -> None:
        """Touchpoints that came again and are ghosts already."""
        for until_us in untils:
            self._removed.setdefault(until_us, Counter())["refused"] += 1
            self.refused += 1

    def _erasures(self) -> dict[int, str]:
        rows = self._yard.database.execute(self._tx, "SELECT at_us, min(id) FROM erasure GROUP BY at_us")
        return {row[0]: row[1] for row in rows}

    def _note(self) -> None:
        if not self._removed:
            return
        erasures = self._erasures()
        newest = max(erasures, default=0)
        for until_us, counts in self._removed.items():
            id = erasures.get(until_us, erasures.get(newest))
            if id is None:
                continue
            refused, months = counts.pop("refused", 0), counts.get("months", 0)
            row = self._yard.database.execute(self._tx, "SELECT removed FROM erasure WHERE id = :id", {"id": id})[0]
            total = Counter(msgspec.json.decode(row[0], type=dict[str, int])) + counts
            self._yard.database.execute(
                self._tx,
                "UPDATE erasure SET removed = :removed, refused = refused + :refused, months = months + :months WHERE id = :id",
                {"id": id, "removed": msgspec.json.encode(dict(total)).decode(), "refused": refused, "months": months},
            )
