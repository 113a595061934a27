"""Fills a next generation from the stored facts beside the live one, and makes it the live one when it has caught up.

Facts are read in pages in the order of their keys. A page is read and summed in a snapshot, while consumers go on, and counted in a
short transaction of its own, together with where the filling stands: whoever is interrupted goes on from there. Consumers note
(`changes.note`) what they change up to the end of the page that is being read. What the snapshot of a page shows already is struck
off; the rest is counted at the end, by when all that is left is little, and the last of it together with the switch.

Sums do not depend on order, and the changes of one fact are counted in the order of their commits. So at any time the next generation
holds, of each fact up to where it stands, the contributions of some version that this fact had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection

from schemas.calendar import Calendar
from services.metrics.domain.rollups import Sums
from services.metrics.migrations import HISTORY
from services.metrics.store import changes, filling, generations, refreshing
from services.metrics.store.filling import FactKey, Filling
from services.metrics.store.summing import Summing
from services.metrics.store.tables import POSITION, ROW_KEY
from services.shared.bus import TopicInfo
from services.shared.db import Database
from services.shared.errors import Contended, Misconfigured
from services.shared.migrating import migrate
from services.shared.positions import Bounds, Positions

_Result = TypeVar("_Result")
_OF_THE_TOPIC = ("position", "watermark", "effect", "fact", "person_month", "fact_change", "filling")
PAGE = 1000
"""Facts, or changes of facts, that are counted in one transaction."""
REMOVED_AT_ONCE = 5000


COUNTING, CATCHING_UP, REMOVING = "facts counted anew", "changes caught up with", "rows of earlier generations removed"


class Progress(NamedTuple):
    """`doing` is what is done now, `done` how much of it, of about `total` (None: nobody knows)."""

    doing: str
    done: int
    total: int | None


class _Read(NamedTuple):
    """What one look at the facts or their changes found: what to add, of how many facts (more), up to which, the changes that are counted
    with it, and the facts whose rows another version wrote."""

    sums: dict[int, Sums]
    facts: int
    last: FactKey | None
    changes: Sequence[int]
    stale: Sequence[FactKey]


def rebuild(
    database: Database,
    topic: TopicInfo,
    time_zone: str,
    on_progress: Callable[[int, int | None, str], None],
    bounds: Callable[[], Bounds] | None = None,
    opening_hours: str = "",
) -> int:
    """Recompute the rollups by this code and these settings, beside running processes; returns how many facts there were.

    Questions are answered from the live generation until the next one has caught up. Facts that came from a topic that was recreated,
    has another number of partitions or (by its `bounds`, which are asked for when positions stand still) does not have what comes next
    are forgotten: the consumers read the topic again from its start.

    Raises Misconfigured if a rebuild with other settings was started meanwhile.
    """
    rebuilding = Rebuilding(database, topic, time_zone, opening_hours, bounds=bounds)
    for doing, done, total in rebuilding.steps():
        on_progress(done, total, doing)
    return rebuilding.facts


class Rebuilding:
    """One rebuild by one process; several of the same settings help each other. `facts`: how many were counted, so far."""

    def __init__(
        self,
        database: Database,
        topic: TopicInfo,
        time_zone: str,
        opening_hours: str = "",
        page: int = PAGE,
        bounds: Callable[[], Bounds] | None = None,
    ) -> None:
        self._database, self._topic, self._page, self._bounds = database, topic, page, bounds
        self._calendar, self._hash = Calendar(time_zone, opening_hours), generations.generation_hash(time_zone, opening_hours)
        self._summing, self._caught_up = Summing(database), 0
        self._round, self._left = 0, -1
        self.facts = 0

    def steps(self) -> Iterator[Progress]:
        """The whole of it. It may be left at any yield, which lies between two transactions, and begun anew."""
        migrate(self._database, HISTORY)
        state = self._begin()
        while state is not None:
            self.facts = state.facts
            counting = Progress(COUNTING, state.facts, max(state.total, state.facts))
            yield counting
            found = self._read(state)
            yield Progress(CATCHING_UP, self._caught_up, None) if state.is_read else counting
            state = self._count(state, found)
        removed = 0
        while rows := self._remove():
            removed += rows
            yield Progress(REMOVING, removed, None)

    # -- where it stands ----------------------------------------------------------------------------------------------------

    def _begin(self) -> Filling | None:
        """The filling to go on with; None if there is nothing to fill."""
        with self._database.snapshot() as tx:
            total = int(self._database.execute(tx, "SELECT count(*) FROM fact")[0][0])

        def begin(tx: Connection) -> Filling | None:
            generations.keep_writers_out(self._database, tx)
            live, begun = generations.live(self._database, tx), filling.current(self._database, tx)
            bounds = self._bounds() if self._bounds is not None else {}
            if live is None or not self._fits(tx, bounds):
                self._begin_empty(tx, bounds)
                return None
            if begun is not None and self._is_mine(tx, begun.generation):
                return begun
            if begun is None and live.hash == self._hash and generations.retired(self._database, tx):
                return None  # it was interrupted after the switch
            for table in ("filling", "fact_change"):
                self._database.execute(tx, f"DELETE FROM {table}")
            return filling.begin(self._database, tx, generations.add(self._database, tx, self._hash), total, self._page)

        return self._transaction(begin)

    def _begin_empty(self, tx: Connection, bounds: Bounds) -> None:
        """A generation without a fact, live at once: the topic is read from its start."""
        for table in _OF_THE_TOPIC:
            self._database.execute(tx, f"DELETE FROM {table}")
        topic = self._topic
        starts = [(topic.name, number, topic.id, topic.partitions, begin) for number, (begin, _) in bounds.items()]
        self._database.insert(tx, POSITION, ("topic", "partition", "topic_id", "partitions", "next_offset"), starts)
        generations.switch(self._database, tx, generations.add(self._database, tx, self._hash))

    def _fits(self, tx: Connection, bounds: Bounds) -> bool:
        """Whether the topic is the one that was read, and has what comes next."""
        stored = Positions(self._database).read(tx)
        return all(
            (one.topic_id, one.partitions) == (self._topic.id, self._topic.partitions) and _has(bounds, number, one.next_offset)
            for (_, number), one in stored.items()
        )

    def _is_mine(self, tx: Connection, generation: int) -> bool:
        return generations.hash_of(self._database, tx, generation) == self._hash

    # -- pages --------------------------------------------------------------------------------------------------------------

    def _read(self, state: Filling) -> _Read:
        """The next page of facts, or of changes once all facts were read, summed up in one snapshot."""
        with self._database.snapshot() as tx:
            if state.is_read:
                return self._changes(tx)
            facts = filling.facts_of(self._database, tx, state)
            shown = filling.changes_of(self._database, tx, state)
            stale = refreshing.stale(self._database, tx, facts)
        last = FactKey(*facts[-1][:4]) if facts else None
        return _Read(changes.summed(facts, self._calendar), len(facts), last, shown, stale)

    def _changes(self, tx: Connection) -> _Read:
        found = changes.noted(self._database, tx, self._page)
        stale = refreshing.stale(self._database, tx, found.values())
        more = sum(change.sign for change in found.values())
        return _Read(changes.summed(found.values(), self._calendar), more, None, list(found), stale)

    def _count(self, state: Filling, found: _Read) -> Filling | None:
        """Count what was read, and go on from there; None once the generation is live."""

        def count(tx: Connection) -> Filling | None:
            if not filling.claim(self._database, tx, state):
                return self._where_others_are(tx, state)
            self._add(tx, state.generation, found)
            if not state.is_read:
                generations.keep_writers_out(self._database, tx)
                return filling.advance(self._database, tx, state, found.facts, found.last, self._page)
            if len(found.changes) == self._page and self._gains(tx, len(found.changes)):
                return filling.catch_up(self._database, tx, state, found.facts)
            self._switch(tx, state.generation)
            return None

        return self._transaction(count)

    def _add(self, tx: Connection, generation: int, found: _Read) -> None:
        for partition, sums in sorted(found.sums.items()):
            self._summing.add(tx, generation, partition, sums)
        changes.forget(self._database, tx, found.changes)
        refreshing.refresh(self._database, tx, found.stale)

    def _gains(self, tx: Connection, counted: int) -> bool:
        """Whether fewer changes wait than before those that waited then were counted. If not, consumers have to wait for the rest."""
        self._caught_up, self._round = self._caught_up + counted, self._round + counted
        if self._round < self._left:
            return True
        before, self._left, self._round = self._left, changes.count(self._database, tx), 0
        return before < 0 or self._left < before

    def _switch(self, tx: Connection, generation: int) -> None:
        """Nobody writes from here to the commit: what is still noted is counted, and that is all there is."""
        generations.keep_writers_out(self._database, tx)
        while (rest := self._changes(tx)).changes:
            self._add(tx, generation, rest)
        self._database.execute(tx, "DELETE FROM filling")
        generations.switch(self._database, tx, generation)

    def _where_others_are(self, tx: Connection, state: Filling) -> Filling | None:
        """Another process has gone on from here, or has finished."""
        now, live = filling.current(self._database, tx), generations.live(self._database, tx)
        if now is not None and now.generation == state.generation:
            return now
        if live is not None and live.hash == self._hash and live.number >= state.generation:
            return None
        raise Misconfigured("another rebuild, with other settings, has been started meanwhile; this one ends")

    # -- afterwards ---------------------------------------------------------------------------------------------------------

    def _remove(self) -> int:
        """Remove a page of rows of a generation that nobody reads any more; how many."""

        def remove(tx: Connection) -> int:
            for number in generations.retired(self._database, tx):
                for table in ("rollup", "histogram"):
                    if rows := self._remove_page(tx, table, number):
                        return rows
                self._database.execute(tx, "DELETE FROM generation WHERE number = :number", {"number": number})
            return 0

        return self._transaction(remove)

    def _remove_page(self, tx: Connection, table: str, number: int) -> int:
        names = ROW_KEY[1:]
        key = ", ".join(names)
        last = self._database.execute(
            tx,
            f"SELECT {key} FROM {table} WHERE generation = :number ORDER BY {key} LIMIT 1 OFFSET {REMOVED_AT_ONCE - 1}",
            {"number": number},
        )
        page = f" AND ({key}) <= ({', '.join(f':{name}' for name in names)})" if last else ""
        given = dict(zip(names, last[0], strict=True)) if last else {}
        return self._database.count(tx, f"DELETE FROM {table} WHERE generation = :number{page}", {"number": number, **given})

    def _transaction(self, work: Callable[[Connection], _Result]) -> _Result:
        """Do it in a transaction, again where somebody was in the way."""
        while True:
            try:
                with self._database.transaction() as tx:
                    return work(tx)
            except Contended:
                continue


def _has(bounds: Bounds, partition: int, offset: int) -> bool:
    """Whether the topic has what comes next in a partition, as far as is known."""
    begin, end = bounds.get(partition, (offset, offset))
    return begin <= offset <= end
