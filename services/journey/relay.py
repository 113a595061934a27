"""Publishes what changed, after the commit: months of people, then the input position up to which everything is published.

A month of which nothing is left is published as gone, and as a null once metrics has passed that (`store/departing`).

The work list is the table `unpublished`; a month leaves it when the bus holds it in the version listed, so that a crash between
the two only repeats. One relay serves a partition of `journeys` at a time: the process that holds the partition of the same
number of `touchpoints`, under a fence of that name.

Now and then it looks at the topic itself: one that was made anew, or has lost records, is filled again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import WATERMARK_KEY, PersonMonth, Watermark, month_key
from schemas.topics import JOURNEYS, METRICS, TOUCHPOINTS
from services.journey.monitoring import Monitoring
from services.journey.store.departing import GoneMonth, GoneMonths
from services.journey.store.destination import Destination
from services.journey.store.relaying import Unpublished, UnpublishedMonths, record
from services.shared.bus import MAX_RECORD_BYTES, Bus, Outgoing, Position, Publisher
from services.shared.db import Database
from services.shared.errors import Misplaced, Rejected, Unavailable
from services.shared.log import Log
from services.shared.publishing import held
from services.shared.waiting import Waiting

BATCH = 2000
REPORTED_S = 0.5
"""How often the bus is asked, at most, how far metrics has come."""
LOOK_S = 2.0
"""How often to look whether the topics are still what they were."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
Positions = Mapping[tuple[str, int], int]


class _Pass(NamedTuple):
    """What one look at the database found for the partitions served."""

    positions: Positions
    months: list[Unpublished]
    gone: list[GoneMonth]
    passed: list[GoneMonth]
    is_all: bool


class Relay:
    """Runs on a thread of its own from `start` to `stop`. `serves` tells the partitions that this process holds now."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        serves: Callable[[], frozenset[int]],
        positions: Callable[[Connection], Positions],
        committed: Waiting,
        destination: Destination,
        monitoring: Monitoring,
        log: Log,
        recheck_s: float,
    ) -> None:
        self._bus, self._database, self._serves, self._positions = bus, database, serves, positions
        self._destination, self._look_s, self._topic_id = destination, 0.0, ""
        self._begins: Mapping[int, int] = {}
        self._inputs, self._outputs = 1, 0
        self._unpublished, self._gone = UnpublishedMonths(database), GoneMonths(database)
        self._asked_s = -REPORTED_S
        self._committed, self._monitoring, self._log, self._recheck_s = committed, monitoring, log, recheck_s
        self._publishers: dict[int, Publisher] = {}
        self._watermarks: dict[int, Positions] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.trouble: str | None = None
        """What is away at the moment, None if all is well."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Publish what is committed, end the thread, let the partitions go."""
        self._stopping.set()
        self._committed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def well(self) -> None:
        """Raises Unavailable while nothing can be published."""
        if self.trouble is not None:
            raise Unavailable(self.trouble)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            seen = self._committed.commits
            try:
                if time.monotonic() >= self._look_s:
                    self._look_at_topics()
                self._hold(self._served())
                while self._publishers and self._pass():
                    pass
                self.trouble, pause_s = None, FIRST_PAUSE_S
            except Exception as error:  # noqa: BLE001 - whatever it is, the relay must not end silently: it says so and comes again
                self.trouble = str(error) if isinstance(error, Unavailable | Misplaced) else repr(error)
                self._log.warning("relay_paused", reason=self.trouble, pause_s=pause_s)
                self._hold(frozenset())
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            self._committed.next_commit(seen, self._recheck_s)
        self._leave()

    def _look_at_topics(self) -> None:
        """How many partitions there are; and what the topic `journeys` has lost since the last time is listed to be published again."""
        topic, begins = self._bus.describe(JOURNEYS), self._bus.begin_offsets(JOURNEYS)
        if not self._topic_id:  # once, at the start
            self._destination.require_older(self._bus)
        self._inputs, self._outputs = self._bus.describe(TOUCHPOINTS).partitions, topic.partitions
        if self._destination.look(topic, begins, self._bus.end_offsets(JOURNEYS)):
            self._log.warning("journeys_filled_again", topic=JOURNEYS)
        if (topic.id, begins) != (
            self._topic_id,
            self._begins,
        ):  # whoever listed what it lacks, this process's watermarks are lost too
            self._watermarks = {}
        self._topic_id, self._begins, self._look_s = topic.id, begins, time.monotonic() + LOOK_S

    def _require_same_topic(self) -> None:
        """A watermark in a topic that was made anew would promise what is not in it yet."""
        if self._bus.describe(JOURNEYS).id != self._topic_id:
            self._look_s = 0.0
            raise Unavailable(f"topic {JOURNEYS} was created anew; it is going to be filled again")

    def _served(self) -> frozenset[int]:
        """The partitions of `journeys` to serve: those numbered as the ones held; what there are more goes round."""
        held = self._serves()
        return frozenset(number for number in range(self._outputs) if number % self._inputs in held)

    def _leave(self) -> None:
        try:
            while self._publishers and self._pass():
                pass
        except Unavailable as error:
            self._log.warning("relay_left_unfinished", reason=str(error))
        self._hold(frozenset())

    def _hold(self, partitions: frozenset[int]) -> None:
        """Serve these partitions from now on; opening a fenced publisher shuts out whoever served one before."""
        for partition in self._publishers.keys() - partitions:
            self._watermarks.pop(partition, None)
            self._publishers.pop(partition).close()
        gained = sorted(partitions - self._publishers.keys())
        if gained:
            with ThreadPoolExecutor(len(gained)) as pool:
                opening = {partition: pool.submit(self._bus.publisher, f"relay-{partition}") for partition in gained}
            for partition, opened in opening.items():
                if opened.exception() is None:
                    self._publishers[partition] = opened.result()
            for opened in opening.values():
                opened.result()

    def _pass(self) -> bool:
        """Publish one batch, and with it the watermark if that is all there is; whether there may be more."""
        positions, months, gone, passed, is_all = self._look()
        outgoing: dict[int, list[Outgoing]] = {partition: [] for partition in self._publishers}
        leaving: dict[int, dict[int, GoneMonth]] = {partition: {} for partition in self._publishers}
        for left in (*gone, *(_gone(month) for month in months if is_gone(month))):
            leaving[left.partition][len(outgoing[left.partition])] = left
            outgoing[left.partition].append(_outgoing_gone(left))
        for month in months:
            if not is_gone(month):
                outgoing[month.partition].append(self._outgoing(month))
        for left in passed:
            outgoing[left.partition].append(
                Outgoing(JOURNEYS, month_key(left.person_id, month_text(left.month)), None, left.partition)
            )
        if is_all:
            mark = watermark(positions)
            for partition in self._publishers:
                if self._watermarks.get(partition) != positions:
                    outgoing[partition].append(Outgoing(JOURNEYS, WATERMARK_KEY, mark, partition))
        if any(outgoing.values()):
            self._require_same_topic()
        sent = {partition: self._publishers[partition].publish(records) for partition, records in outgoing.items() if records}
        places = {partition: _wait(future) for partition, future in sent.items()}
        if is_all:
            self._watermarks = dict.fromkeys(self._publishers, positions)
        left_at = [
            left._replace(place=places[partition][index].offset)
            for partition, of in leaving.items()
            for index, left in of.items()
        ]
        self._note(months, left_at, passed)
        self._monitoring.published.inc(len(months) + len(gone))
        self._monitoring.backlog.set(0 if is_all else self._count())
        return not is_all

    def _note(self, months: list[Unpublished], left: list[GoneMonth], passed: list[GoneMonth]) -> None:
        """What was published is so no more to be."""
        if not (months or left or passed):
            return
        with self._database.transaction() as tx:
            self._unpublished.done(tx, months)
            if not self._database.is_postgres:
                self._destination.reached(tx, self._bus.end_offsets(JOURNEYS))
            self._gone.put(tx, left)
            if alive := [(one.partition, one.person_id, one.month, one.version) for one in months if not is_gone(one)]:
                self._gone.came_back(tx, alive)
            self._gone.forget(tx, passed)

    def _look(self) -> _Pass:
        is_due = time.monotonic() >= self._asked_s + REPORTED_S
        with self._database.snapshot() as tx:
            positions = self._positions(tx)
            months = self._unpublished.read(tx, self._publishers.keys(), BATCH)
            gone = self._gone.unpublished(tx, self._publishers.keys(), BATCH)
            waiting = self._gone.waiting(tx, self._publishers.keys(), BATCH) if is_due else []
        passed = self._passed(waiting, months) if waiting else []
        return _Pass(positions, months, gone, passed, len(months) < BATCH and len(gone) < BATCH)

    def _passed(self, waiting: list[GoneMonth], months: list[Unpublished]) -> list[GoneMonth]:
        """Those that metrics has read as gone, but for those that have come back."""
        self._asked_s = time.monotonic()
        reported = self._bus.reported(METRICS, JOURNEYS)
        changing = {(month.partition, month.person_id, month.month) for month in months}
        return [
            left
            for left in waiting
            if left.place is not None and left.place < reported.get(left.partition, 0) and left[:3] not in changing
        ]

    def _count(self) -> int:
        with self._database.snapshot() as tx:
            return self._unpublished.count(tx, self._publishers.keys())

    def _outgoing(self, month: Unpublished) -> Outgoing:
        """The record of a month; one that is too large for the bus is published as gone and reported, so that it blocks nobody."""
        key = month_key(month.person_id, month_text(month.month))
        value = record(month)
        if len(key) + len(value) > MAX_RECORD_BYTES:
            self._monitoring.oversized.inc()
            self._log.error("month_too_large", bytes=len(value), partition=month.partition)
            value = record(month._replace(facts=None))
        return Outgoing(JOURNEYS, key, value, month.partition)


def watermark(positions: Positions) -> bytes:
    """The JSON of a `schemas.facts.Watermark`: all that these positions changed in a partition is published before it."""
    by_topic: dict[str, dict[str, int]] = {}
    for (topic, number), offset in sorted(positions.items()):
        by_topic.setdefault(topic, {})[str(number)] = offset
    return msgspec.json.encode(Watermark(watermark=by_topic))


def is_gone(month: Unpublished) -> bool:
    """Whether nothing is left of a month."""
    return not month.facts or month.facts == b"{}"


def _gone(month: Unpublished) -> GoneMonth:
    return GoneMonth(month.partition, month.person_id, month.month, month.version)


def _outgoing_gone(left: GoneMonth) -> Outgoing:
    month = month_text(left.month)
    gone = PersonMonth(person_id=left.person_id, month=month, version=left.version, gone=True, erasure=left.erasure)
    return Outgoing(JOURNEYS, month_key(left.person_id, month), msgspec.json.encode(gone), left.partition)


def _wait(publishing: Future[list[Position]]) -> Sequence[Position]:
    try:
        return held(publishing, "what the relay publishes")
    except Rejected as error:
        raise Unavailable(str(error)) from error
