"""Derives, owns and folds all stored touchpoints and commands anew, beside the running service, and switches when it has caught up.

For when what is derived changed: the vocabulary, channel rules, time zone, timeout, limits of identities, the code; or a topic was
made anew. Everything goes the way it came, through `Consumer.apply`, into a second set of tables (`store/shadow`): first a copy of
what was stored at one moment, then what the bus has had since. Each batch commits with the place it leads to, so whoever is interrupted
goes on from there. The last records are taken while consumers wait; then rows change places in one transaction (`store/switching`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, make_url

from services.journey.consumer import TOPICS, Consumer
from services.journey.store.shadow import STORED, Place, Placed, Readable, Shadow
from services.journey.store.switching import Switching
from services.shared.bus import Bus, Record
from services.shared.clock import Clock
from services.shared.db import Database
from services.shared.errors import Contended, Misplaced, Rejected, Unavailable
from services.shared.positions import Positions

BATCH = 2_000
NEARLY = 200
"""Records to catch up with that consumers may wait for."""
STITCHING, CATCHING_UP, SWITCHING = "touchpoints stitched anew", "records caught up with", "months published again"


class Progress(NamedTuple):
    """`doing` is what is done now, `done` how much of it, of `total` (None: nobody knows)."""

    doing: str
    done: int
    total: int | None


class _Step(NamedTuple):
    """A record to take, and the place that it leads to."""

    record: Record
    place: Place
    after: int


class Rebuilding:
    """One rebuild. `consumer_on` makes a consumer with the settings wanted on another database; `made_by` is its generation."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        consumer_on: Callable[[Database], Consumer],
        made_by: str,
        partitions: int,
        clock: Clock,
    ) -> None:
        self._live, self._bus, self._consumer_on, self._partitions = database, bus, consumer_on, partitions
        self._made_by, self._clock = made_by, clock
        self._shadow = Shadow(database)
        self._positions = Positions(self._shadow.database)
        self._next: dict[Place, int] = {}

    def steps(self) -> Iterator[Progress]:
        """The whole of it. It may be left at any yield, which lies between two transactions, and begun anew.

        Raises Unavailable if another process is at it, or something outside is away.
        """
        with _alone(self._live), ExitStack() as stack:
            stack.callback(self._shadow.database.close)
            if not self._shadow.is_of(self._made_by):
                self._shadow.begin(self._made_by, self._topics())
            try:
                yield from self._fill(stack)
            except Misplaced:  # it was interrupted for so long that the bus does not have all any more
                self._shadow.begin(self._made_by, self._topics())
                yield from self._fill(stack)
            yield Progress(SWITCHING, self._switch(), None)
            self._shadow.drop()

    def _fill(self, stack: ExitStack) -> Iterator[Progress]:
        self._consumer = self._consumer_on(self._shadow.database)
        stack.callback(self._consumer.stop)
        self._stand()
        total = self._shadow.count()
        yield Progress(STITCHING, self._next[STORED], total)
        while steps := self._stored():
            self._take(steps)
            yield Progress(STITCHING, self._next[STORED], total)
        caught_up, taken = 0, NEARLY + 1
        while taken > NEARLY:
            taken = 0
            for steps in self._arrived(self._live_positions()):
                self._take(steps)
                taken += len(steps)
                yield Progress(CATCHING_UP, caught_up + taken, None)
            caught_up += taken

    def _stand(self) -> None:
        """Where it stands. Raises Misplaced if that is of a topic that was made anew since."""
        with self._shadow.database.snapshot() as tx:
            places = self._positions.read(tx)
        for topic in TOPICS:
            info = self._bus.describe(topic)
            if any(
                (at.topic_id, at.partitions) != (info.id, info.partitions) for place, at in places.items() if place[0] == topic
            ):
                raise Misplaced(f"{topic} was made anew")
        self._next = {place: at.next_offset for place, at in places.items()}

    # -- what is taken ------------------------------------------------------------------------------------------------------

    def _stored(self) -> list[_Step]:
        now_ms = self._clock() // 1000
        with self._shadow.database.snapshot() as tx:
            rows = self._shadow.stored(tx, self._next[STORED], BATCH)
        return [_Step(Record(one.topic, 0, -1, b"", one.body, now_ms), STORED, one.number) for one in rows]

    def _arrived(self, until: Mapping[Place, int]) -> Iterator[list[_Step]]:
        """What journey has taken beyond where this stands, and no more: what else follows from a command is journey's to do.

        Raises Misplaced if the bus does not have all of that any more.
        """
        for place, end in until.items():
            while self._next[place] < end:
                records = [one for one in self._bus.read(*place, self._next[place], BATCH) if one.offset < end]
                if not records:
                    raise Misplaced(f"{place[0]}/{place[1]} has nothing from {self._next[place]} to {end}")
                yield [_Step(record, place, record.offset + 1) for record in records]

    def _live_positions(self, tx: Connection | None = None) -> dict[Place, int]:
        """How far journey is, of topics that are the ones it has read; of one that lost its end, as far as there is anything."""
        if tx is None:
            with self._live.snapshot() as now:
                return self._live_positions(now)
        stored = Positions(self._live).read(tx)
        infos = {topic: self._bus.describe(topic) for topic in TOPICS}
        ends = {topic: self._bus.end_offsets(topic) for topic in TOPICS}
        return {
            place: min(at.next_offset, ends[place[0]].get(place[1], 0))
            for place, at in stored.items()
            if place[0] in infos and (at.topic_id, at.partitions) == (infos[place[0]].id, infos[place[0]].partitions)
        }

    def _take(self, steps: Sequence[_Step]) -> None:
        """What can't be taken is kept in `touchpoints.rejected`, one by one, as consumers do."""
        try:
            self._commit(steps)
        except (Unavailable, Misplaced):
            raise
        except Exception:  # noqa: BLE001 - the record that causes it is found and set aside below
            for step in steps:
                self._take_one(step)

    def _take_one(self, step: _Step) -> None:
        try:
            self._commit([step])
        except (Unavailable, Misplaced):
            raise
        except Exception as error:  # noqa: BLE001 - kept with its reason, never dropped
            reason = Rejected.because(error)
            self._consumer.reject(step.record, reason)
            with self._shadow.database.transaction() as tx:
                self._positions.move(tx, self._moves([step]))
            self._next[step.place] = step.after

    def _commit(self, steps: Sequence[_Step]) -> None:
        while True:
            try:
                with self._shadow.database.transaction() as tx:
                    self._positions.move(tx, self._moves(steps))
                    was_kept = steps[0].place == STORED  # an erasure that has everything to go by kept it, so it stays
                    self._consumer.apply(tx, [step.record for step in steps], refuses=not was_kept)
            except Contended:
                continue
            break
        self._next[steps[-1].place] = steps[-1].after

    def _moves(self, steps: Sequence[_Step]) -> Mapping[Place, tuple[int, int]]:
        return {steps[-1].place: (self._next[steps[-1].place], steps[-1].after)}

    # -- the switch ---------------------------------------------------------------------------------------------------------

    def _switch(self) -> int:
        """How many months are published again."""
        with closing(Database(self._live.url, self._live.schema, pool_size=1)) as live, live.transaction() as tx:
            if live.is_postgres:
                tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                tx.exec_driver_sql("LOCK TABLE position IN EXCLUSIVE MODE")
            for steps in self._arrived(self._live_positions(tx)):
                self._take(steps)
            with self._shadow.database.transaction() as beside:
                self._shadow.carry(beside)
            return Switching(live, self._shadow, self._partitions).switch(tx, self._made_by)

    def _topics(self) -> Mapping[Place, Readable]:
        found = {}
        for topic in TOPICS:
            info, begins, ends = self._bus.describe(topic), self._bus.begin_offsets(topic), self._bus.end_offsets(topic)
            for partition, begin in begins.items():
                found[topic, partition] = Readable(Placed(topic, partition, info.id, info.partitions, begin), ends[partition])
        return found


@contextmanager
def _alone(live: Database) -> Iterator[None]:
    """Only one process rebuilds at a time; it is free again when that process dies. Raises Unavailable."""
    busy = "another process is rebuilding journeys"
    if live.is_postgres:
        with closing(Database(live.url, live.schema, pool_size=1)) as own, own.idle() as session:
            ((is_ours,),) = own.execute(session, "SELECT pg_try_advisory_lock(7463, hashtext(current_schema()))")  # 7462: clocks
            if not is_ours:
                raise Unavailable(busy)
            yield
        return
    file = Path(make_url(live.url).database or "")
    with open(file.with_name(f"{file.stem}-rebuild.lock"), "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(busy) from None
        yield
