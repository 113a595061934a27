"""Replays: rejected records taken through the whole way of a touchpoint again, published, and noted with what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from schemas import tokens
from services.ingest.domain.again import Rules, again
from services.ingest.domain.kept import MAX_NAME, Kept, clean
from services.ingest.meters import Meters
from services.ingest.store.rejected import Place, RejectedRecords, Replay, Wanted
from services.shared.bus import Outgoing, Publisher
from services.shared.clock import Clock
from services.shared.db import Database
from services.shared.errors import Rejected
from services.shared.log import Log
from services.shared.publishing import held


class Asked(NamedTuple):
    """Which records are to be replayed, and who says so. `mended` takes the place of the one record's bytes."""

    wanted: Wanted
    after: Place | None
    limit: int
    by: str
    mended: bytes | None = None


class Outcome(NamedTuple):
    """What became of one record: `replayed` with the id of what was published, or `rejected` again with today's reason."""

    kept: Kept
    id: str | None
    problem: Rejected | None
    records: Sequence[Outgoing]


class Replayed(NamedTuple):
    """`unknown` are ids that were asked for by name and that no record has."""

    outcomes: Sequence[Outcome]
    unknown: Sequence[str]
    next: Place | None
    token: str


class Replays:
    """Replays records. Thread-safe."""

    def __init__(self, database: Database, publisher: Publisher, rules: Rules, meters: Meters, clock: Clock, log: Log) -> None:
        self._database, self._publisher, self._rules = database, publisher, rules
        self._meters, self._clock, self._log = meters, clock, log
        self._records = RejectedRecords(database)

    def replay(self, asked: Asked) -> Replayed:
        """Try what is asked for again, the newest first; returns once the bus holds what is good.

        Raises Unavailable if that can't be said: nothing is noted then, and doing it again is harmless.
        """
        with self._database.snapshot() as tx:
            listed = self._records.page(tx, asked.wanted, asked.after, asked.limit + 1)
        chosen = [one.kept for one in listed[: asked.limit]]
        outcomes = [self._try(kept, asked.mended) for kept in chosen]
        token = self._publish([record for outcome in outcomes for record in outcome.records])
        self._note(asked, outcomes)
        more, found = len(listed) > asked.limit, {one.kept.id for one in listed}
        unknown = [id for id in dict.fromkeys(asked.wanted.ids) if id not in found]
        return Replayed(outcomes, unknown, Place(chosen[-1].at_us, chosen[-1].id) if more else None, token)

    def _try(self, kept: Kept, mended: bytes | None) -> Outcome:
        try:
            id, records = again(kept, mended, self._rules)
        except Rejected as problem:
            return Outcome(kept, None, problem, ())
        return Outcome(kept, id, None, [Outgoing(topic, *record) for topic, record in records])

    def _publish(self, records: Sequence[Outgoing]) -> str:
        if not records:
            return ""
        positions = held(self._publisher.publish(records), "replayed records")
        return tokens.encode((record.topic, *position) for record, position in zip(records, positions, strict=True))

    def _note(self, asked: Asked, outcomes: Sequence[Outcome]) -> None:
        """In each record's history, in the log, and in the figures. What a record holds is in none of them."""
        now_us, is_mended = self._clock(), asked.mended is not None
        with self._database.transaction() as tx:
            self._records.note(tx, [_noted(outcome, now_us, is_mended, asked.by) for outcome in outcomes])
        rejected = sum(outcome.problem is not None for outcome in outcomes)
        self._meters.replayed(len(outcomes) - rejected, rejected)
        filters = {name: value for name, value in asked.wanted._asdict().items() if value not in (None, ())}
        self._log.info(
            "admin_action",
            action="replay_rejected",
            by=asked.by,
            replayed=len(outcomes) - rejected,
            rejected=rejected,
            mended=is_mended,
            wanted=filters,
        )


def _noted(outcome: Outcome, now_us: int, is_mended: bool, by: str) -> Replay:
    if (problem := outcome.problem) is None:
        return Replay(outcome.kept.id, now_us, "replayed", None, None, None, is_mended, by)
    code, message, pointer = clean(problem.code, MAX_NAME), clean(problem.message), clean(problem.pointer)
    return Replay(outcome.kept.id, now_us, "rejected", code, message, pointer, is_mended, by)
