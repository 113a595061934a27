"""Takes records of `journeys`: facts that came less facts that left, in rows and in rollups.

The state after a batch is a function of the newest version of each (person, month) only, however the records were cut into batches
and however often they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.calendar import Calendar
from schemas.topics import JOURNEYS
from services.metrics.store import changes
from services.metrics.store.changes import Change
from services.metrics.store.facts import EFFECT_COLUMNS, FACT_COLUMNS, FACT_TYPES, SEVERAL_DAYS, fact_of, row_of
from services.metrics.store.summing import Summing
from services.metrics.store.tables import EFFECT, FACT, PERSON_MONTH
from services.shared.bus import Record
from services.shared.db import Database, Keys
from services.shared.errors import Rejected

_MONTH_TYPES = {"partition": "integer", "person_id": "text", "month": "text"}
_SAME_MONTH = "t.partition = k.partition AND t.person_id = k.person_id AND t.month = k.month"
_VERSIONS = (
    f"SELECT t.partition, t.person_id, t.month, t.version, t.identified FROM {{k}} CROSS JOIN person_month t WHERE {_SAME_MONTH}"
)
_FACTS = f"SELECT t.partition, t.person_id, t.month, t.key, t.body FROM {{k}} CROSS JOIN fact t WHERE {_SAME_MONTH}"
_PUT_MONTH = (
    "ON CONFLICT (partition, person_id, month) DO UPDATE SET version = excluded.version, identified = excluded.identified"
)
_PUT_FACT = (
    "ON CONFLICT (partition, person_id, month, key) DO UPDATE SET kind = excluded.kind, at_us = excluded.at_us, "
    "until_us = excluded.until_us, body = excluded.body"
)


class MonthKey(NamedTuple):
    partition: int
    person_id: str
    month: str


class _Published(msgspec.Struct, kw_only=True):
    """A `PersonMonth`, with its facts as they came."""

    person_id: str
    month: str
    version: int
    facts: list[msgspec.Raw] = []
    gone: bool = False
    erasure: str | None = None
    identified: bool = True


class Erased(NamedTuple):
    """A record of a month that an erasure took away: its place, and how many facts went with it."""

    erasure: str
    partition: int
    offset: int
    facts: int


@dataclass
class Month:
    """A person's month as it is, or will be. `version` None: never heard of it, or forgotten."""

    version: int | None = None
    identified: bool = True
    facts: dict[str, str] = field(default_factory=dict)


class _Versioned(msgspec.Struct):
    version: int


_VERSION = msgspec.json.Decoder(_Versioned)
_RECORD: msgspec.json.Decoder[_Published | None] = msgspec.json.Decoder(_Published | None)


class Taking:
    """Applies records of `journeys` through one database."""

    def __init__(self, database: Database, calendar: Calendar) -> None:
        self._database, self._calendar = database, calendar
        self._summing = Summing(database)

    def take(self, tx: Connection, generation: int, records: Sequence[Record]) -> list[Erased]:
        """Bring facts and rollups up to these records of person-months, of which those of one partition are in order.

        Returns what went with erasures; what is published again was told before. Raises Rejected for a record that is none.
        """
        published = [(_key_of(record), _read(record)) for record in records]
        before = stored_months(self._database, tx, {key for key, _ in published})
        after: dict[MonthKey, Month] = {}
        erased = []
        for record, (key, month) in zip(records, published, strict=True):
            known = after.get(key, before.get(key))
            after[key] = _next(known, month)
            if month is not None and month.erasure is not None and (known is None or known.version != month.version):
                facts = len(known.facts) - len(after[key].facts) if known is not None else 0
                erased.append(Erased(month.erasure, record.partition, record.offset, facts))
        changed = {key: month for key, month in after.items() if month != before.get(key)}
        if not changed:
            return erased
        self._write(tx, before, changed)
        differences = list(_differences(before, changed))
        changes.note(self._database, tx, differences)
        for partition, sums in changes.summed(differences, self._calendar).items():
            self._summing.add(tx, generation, partition, sums)
        return erased

    def _write(self, tx: Connection, before: dict[MonthKey, Month], changed: dict[MonthKey, Month]) -> None:
        kept = [(*key, month.version, month.identified) for key, month in _sorted_items(changed) if month.version is not None]
        forgotten = [key for key, month in changed.items() if month.version is None and key in before]
        self._database.insert(tx, PERSON_MONTH, (*_MONTH_TYPES, "version", "identified"), kept, _PUT_MONTH)
        self._database.delete(tx, PERSON_MONTH, Keys(_MONTH_TYPES, forgotten))
        left, came = [], []
        for key, month in _sorted_items(changed):
            old = before[key].facts if key in before else {}
            left += [(*key, fact_key) for fact_key in old if old[fact_key] != month.facts.get(fact_key)]
            came += [(key, fact_key, body) for fact_key, body in sorted(month.facts.items()) if old.get(fact_key) != body]
        several = [fact for fact in left if fact[3].startswith(tuple(f"{kind}/" for kind in SEVERAL_DAYS))]
        self._database.delete(tx, EFFECT, Keys(FACT_TYPES, several))
        put_again = {(*key, fact_key) for key, fact_key, _ in came}
        self._database.delete(tx, FACT, Keys(FACT_TYPES, [fact for fact in left if fact not in put_again]))
        self._insert_facts(tx, came)

    def _insert_facts(self, tx: Connection, came: Sequence[tuple[MonthKey, str, str]]) -> None:
        rows, effects = [], []
        for key, fact_key, body in came:
            row = row_of(body)
            rows.append((*key, fact_key, *row[:4]))
            effects += [(*effect, *key, fact_key) for effect in row.earlier]
        self._database.insert(tx, FACT, FACT_COLUMNS, rows, _PUT_FACT)
        self._database.insert(tx, EFFECT, EFFECT_COLUMNS, effects, "ON CONFLICT DO NOTHING")


def stored_months(database: Database, tx: Connection, keys: Iterable[MonthKey]) -> dict[MonthKey, Month]:
    """What is stored of these months; those that are not known are missing."""
    table = Keys(_MONTH_TYPES, sorted(keys))
    months = {MonthKey(*row[:3]): Month(row[3], bool(row[4])) for row in database.execute(tx, _VERSIONS, k=table)}
    if months:
        for partition, person_id, month, key, body in database.execute(tx, _FACTS, k=Keys(_MONTH_TYPES, sorted(months))):
            months[MonthKey(partition, person_id, month)].facts[key] = body
    return months


def published_month(record: Record) -> tuple[MonthKey, Month]:
    """What a record by itself makes of a month. Raises Rejected for one that is none."""
    return _key_of(record), _next(None, _read(record))


def version_of(value: bytes | None) -> int | None:
    """The version of a published month; None for what has none: a tombstone, a watermark, a record that will be rejected."""
    try:
        return None if value is None else _VERSION.decode(value).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _differences(before: dict[MonthKey, Month], changed: dict[MonthKey, Month]) -> Iterator[Change]:
    nothing = Month()
    for key, new in changed.items():
        old = before.get(key, nothing)
        for one, other, sign in ((old, new, -1), (new, old, 1)):
            for fact_key, body in one.facts.items():
                if body != other.facts.get(fact_key) or one.identified != other.identified:
                    yield Change(*key, fact_key, sign, one.identified, body)


def _sorted_items(months: dict[MonthKey, Month]) -> list[tuple[MonthKey, Month]]:
    """In key order, so that neighbouring rows are written together and two writers never wait for each other in a circle."""
    return sorted(months.items(), key=lambda item: item[0])


def _key_of(record: Record) -> MonthKey:
    try:
        person_id, _, month = record.key.decode().rpartition("/")
    except UnicodeDecodeError:
        person_id = ""
    if not person_id or record.topic != JOURNEYS:
        raise Rejected("not_a_person_month", "the key of a record of journeys is person_id/YYYY-MM")
    return MonthKey(record.partition, person_id, month)


def _read(record: Record) -> _Published | None:
    if record.value is None:
        return None
    try:
        return _RECORD.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_a_person_month", f"a record of another version of Waypost, or none: {error}") from error


def _next(known: Month | None, published: _Published | None) -> Month:
    """What a record makes of a month. An old version changes nothing; a tombstone forgets the month and its version."""
    if published is None:
        return Month()
    if known is not None and known.version is not None and published.version <= known.version:
        return known
    if published.gone:
        return Month(published.version, published.identified)
    facts = {fact_of(raw).key: bytes(raw).decode() for raw in published.facts}
    return Month(published.version, published.identified, facts)
