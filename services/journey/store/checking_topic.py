"""Whether the topic `journeys` says what journey's tables say, and the tables hold every command.

The topic goes on while it is read. So what seems wrong is looked at again, in a new snapshot and with what the topic has got since;
what is wrong each time is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_number, month_text
from schemas.facts import WATERMARK_KEY, Watermark, month_key
from schemas.topics import COMMANDS, JOURNEYS
from services.journey.domain.commands import Decision, read_decision
from services.journey.store.commands import StoredCommand, StoredCommands, precedence_of
from services.journey.store.hiding import Hidden, is_hidden
from services.journey.store.identities import Identities
from services.journey.store.people import person_ids, unpack
from services.journey.store.relaying import Unpublished, is_identified, record
from services.journey.store.tables import MONTH
from services.shared.bus import MAX_RECORD_BYTES, Bus, Record, partition_of
from services.shared.checked import Checked
from services.shared.db import Database, Keys
from services.shared.errors import Rejected
from services.shared.newest import Newest, NewestRecords
from services.shared.paging import pages
from services.shared.positions import Positions

LOOKS = 5
SUSPECTED = 2000
"""Keys that are looked at again; of further ones only how many they are is told."""
Key = tuple[int, bytes]


class _Wrong(NamedTuple):
    person_id: str
    what: str
    found: object
    expected: object


Suspected = dict[Key, Sequence[_Wrong]]


class _Published(msgspec.Struct):
    version: int
    gone: bool = False
    identified: bool = True
    facts: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(_Published).decode
_watermark = msgspec.json.Decoder(Watermark).decode


class CheckingTopic:
    """One check. `partitions`: how many of them months are spread over; the topic may have more."""

    def __init__(self, database: Database, bus: Bus, result: Checked, partitions: int) -> None:
        self._db, self._bus, self._result, self._partitions = database, bus, result, partitions

    def steps(self, tx: Connection) -> Iterator[None]:
        """Everything, page by page; the tables as the caller's snapshot has them, as long as that is not in doubt."""
        self._positions(tx)
        self._places(tx)
        yield from self._commands(tx)
        yield from self._journeys(tx)

    # -- positions and commands ---------------------------------------------------------------------------------------------

    def _positions(self, tx: Connection) -> None:
        for (topic, partition), one in sorted(Positions(self._db).read(tx).items()):
            what = f"position {topic}/{partition}"
            with self._result.reading("", what):
                info, begins, ends = self._bus.describe(topic), self._bus.begin_offsets(topic), self._bus.end_offsets(topic)
                self._result.compare("", f"{what}: topic", (one.topic_id, one.partitions), (info.id, info.partitions))
                is_there = begins[partition] <= one.next_offset <= ends[partition]
                right = one.next_offset if is_there else f"{begins[partition]} to {ends[partition]}"
                self._result.compare("", what, one.next_offset, right)

    def _places(self, tx: Connection) -> None:
        """What was published as gone has a place that the topic has reached."""
        ends = self._bus.end_offsets(JOURNEYS)
        rows = self._db.execute(tx, "SELECT partition, person_id, month, place FROM gone_month WHERE place IS NOT NULL")
        for partition, person_id, month, place in rows:
            end = ends.get(partition, 0)
            right = place if place < end else f"below {end}"
            self._result.compare(person_id, f"place of {month_text(month)}, published as gone", place, right)

    def _commands(self, tx: Connection) -> Iterator[None]:
        """Every command up to the positions is kept, or a lesser one of its id."""
        commands, known = StoredCommands(self._db), 0
        positions = Positions(self._db).offsets(tx)
        begins = self._bus.begin_offsets(COMMANDS)
        for partition, offset in begins.items():
            end = positions.get((COMMANDS, partition), 0)
            while offset < end and (records := self._bus.read(COMMANDS, partition, offset)):
                offset = records[-1].offset + 1
                decisions = [one for one in map(_decision, (each for each in records if each.offset < end)) if one is not None]
                kept = {one.id: one for one in commands.read(tx, {one.id for one in decisions})}
                names = self._names(tx, kept.values())
                carried = self._carried_out(tx, [one for one in decisions if one.id not in kept])
                for decision in decisions:
                    if decision.id not in carried:
                        self._command(kept.get(decision.id), decision, names)
                known += len(records)
                yield None
        if not any(begins.values()):  # else the topic has forgotten some
            found = self._db.execute(tx, "SELECT count(*) FROM command")[0][0]
            self._result.compare("", "commands that are kept but are not on the topic", max(0, found - known), 0)

    def _command(self, kept: StoredCommand | None, decision: Decision, names: dict[int, str]) -> None:
        what = f"command {decision.id}"
        if kept is None:
            self._result.compare("", what, "missing", "there")
            return
        if any(is_hidden(names.get(id, "")) for id in kept.identities):
            self._result.compare("", what, (kept.at_us, kept.action), (decision.at_us, decision.action))
            return
        named = tuple(names.get(id, f"identity {id}") for id in kept.identities)
        stored = Decision(kept.at_us, kept.id, kept.action, named, kept.by, kept.reason)
        if precedence_of(stored) >= precedence_of(decision):
            self._result.compare("", what, stored._replace(identities=()), decision._replace(identities=()))
            self._result.compare("", f"{what}: whom it names", stored.identities, decision.identities)

    def _carried_out(self, tx: Connection, decisions: Sequence[Decision]) -> set[str]:
        """Erasures, of which only that they were carried out is kept, and links that one of those made void."""
        keys = Keys({"id": "text"}, [(one.id,) for one in decisions if one.action == "erase"])
        carried = {row[0] for row in self._db.execute(tx, "SELECT e.id FROM {k} JOIN erasure e ON e.id = k.id", k=keys)}
        named = {name for one in decisions if one.action != "erase" for name in one.identities}
        ids = {one.id: one for one in Identities(self._db).read(tx, named)}
        hidden = Hidden(self._db).names(tx, named)
        ids.update((one.id, one) for one in Identities(self._db).read_ids(tx, set(hidden.values()) - ids.keys()))
        erased_us = {one.name: one.erased_us for one in ids.values()}
        erased_us.update((name, ids[id].erased_us) for name, id in hidden.items())
        for one in decisions:
            if one.action != "erase" and any(
                one.at_us <= us for name in one.identities if (us := erased_us.get(name)) is not None
            ):
                carried.add(one.id)
        return carried

    def _names(self, tx: Connection, commands: Collection[StoredCommand]) -> dict[int, str]:
        named = Identities(self._db).read_ids(tx, {id for one in commands for id in one.identities})
        return {one.id: one.name for one in named}

    # -- months of people ---------------------------------------------------------------------------------------------------

    def _journeys(self, tx: Connection) -> Iterator[None]:
        with closing(NewestRecords(self._bus, JOURNEYS)) as newest:
            ends = self._bus.end_offsets(JOURNEYS)
            for _ in newest.gather(self._bus.begin_offsets(JOURNEYS), ends):
                yield None
            suspected: Suspected = {}
            more = 0
            for found in self._looks(tx, newest):
                for key, wrong in found.items():
                    if len(suspected) < SUSPECTED:
                        suspected[key] = wrong
                    else:
                        more += 1
                yield None
            for _ in range(LOOKS):
                if not suspected:
                    break
                suspected, ends = self._again(newest, suspected, ends)
                yield None
        for key in sorted(suspected):
            for one in suspected[key]:
                self._result.compare(*one)
        if suspected:
            self._result.compare("", "further keys of the topic that differ", more, 0)

    def _looks(self, tx: Connection, newest: NewestRecords) -> Iterator[Suspected]:
        """What is wrong at first sight: page by page of the topic, then of the tables."""
        for page in newest.pages():
            yield self._evaluate(tx, page)
        for rows in pages(self._db, tx, MONTH, ()):
            yield self._missing(tx, newest, rows)

    def _again(self, newest: NewestRecords, suspected: Suspected, ends: Mapping[int, int]) -> tuple[Suspected, Mapping[int, int]]:
        with self._db.snapshot() as tx:
            tx.exec_driver_sql("SELECT 1")  # the snapshot begins here, before the topic's end is asked for
            now = self._bus.end_offsets(JOURNEYS)
            for _ in newest.gather(ends, now):
                pass
            known = newest.of(list(suspected))
            unknown = [Newest(*key, -1, None, 0, False) for key in suspected.keys() - known.keys()]
            return self._evaluate(tx, [*known.values(), *unknown]), now

    def _evaluate(self, tx: Connection, page: Sequence[Newest]) -> Suspected:
        found: Suspected = {}
        months: dict[bytes, tuple[str, int]] = {}
        for one in page:
            if one.key == WATERMARK_KEY:
                found[one.partition, one.key] = self._ahead(tx, one)
            elif (parsed := _parsed(one.key)) is not None:
                months[one.key] = parsed
            else:
                found[one.partition, one.key] = [_Wrong("", "key of a record of journeys", repr(one.key), "person_id/YYYY-MM")]
        stored = self._stored(tx, months)
        for one in page:
            if one.key in months:
                person_id, number = months[one.key]
                found[one.partition, one.key] = self._month(one, person_id, number, *stored[one.key])
        return {key: wrong for key, wrong in found.items() if wrong}

    def _ahead(self, tx: Connection, one: Newest) -> Sequence[_Wrong]:
        """No watermark is ahead of the positions."""
        positions = Positions(self._db).offsets(tx)
        try:
            marked = _watermark(one.value or b"").watermark
        except ValueError:
            return [_Wrong("", f"watermark of {JOURNEYS}/{one.partition}", repr(one.value), "a watermark")]
        return [
            _Wrong("", f"position {topic}/{number}, which was published", positions.get((topic, int(number))), offset)
            for topic, offsets in marked.items()
            for number, offset in offsets.items()
            if offset > positions.get((topic, int(number)), 0)
        ]

    def _month(self, one: Newest, person_id: str, number: int, stored: Unpublished | None, waits: bool) -> Sequence[_Wrong]:
        """What is wrong with one record. `stored` is the month as the tables have it; `waits`: it is to be published yet."""
        what = f"{month_text(number)} on the topic"
        if one.partition != partition_of(one.key, self._partitions):
            return [_Wrong(person_id, f"{what}: partition", one.partition, partition_of(one.key, self._partitions))]
        try:
            published = _decode(one.value) if one.value is not None else None
        except ValueError:
            return [_Wrong(person_id, what, repr(one.value), "a person's month")]
        version = None if published is None else published.version
        if stored is None:
            is_gone = published is None or published.gone
            return [] if is_gone or waits else [_Wrong(person_id, what, f"version {version}", "gone")]
        if waits and (version or 0) <= stored.version:
            return []
        if published is None or published.version > stored.version:
            return [_Wrong(person_id, f"{what}: version", version if one.offset >= 0 else "missing", stored.version)]
        right = record(stored)
        if len(one.key) + len(right) > MAX_RECORD_BYTES:
            right = record(stored._replace(facts=None))
        return _different(person_id, what, published, _decode(right))

    def _missing(self, tx: Connection, newest: NewestRecords, rows: Any) -> Suspected:
        """Months that the topic has no record of at all."""
        ids = person_ids(self._db, tx, {row[0] for row in rows})
        wanted: list[Key] = []
        for root, month in rows:
            if root in ids:
                key = month_key(ids[root], month_text(month))
                wanted.append((partition_of(key, self._partitions), key))
        unknown = set(wanted) - newest.of(wanted).keys()
        return self._evaluate(tx, [Newest(*key, -1, None, 0, False) for key in unknown])

    def _stored(self, tx: Connection, months: dict[bytes, tuple[str, int]]) -> dict[bytes, tuple[Unpublished | None, bool]]:
        """Each month as the tables have it (None: gone, or its person is set aside), and whether it is on the relay's list."""
        rows = self._db.execute(
            tx,
            "SELECT k.key, p.root_id, i.name, CASE WHEN p.too_large THEN NULL ELSE m.version END, m.facts, u.version, g.version FROM {k} "
            "LEFT JOIN person p ON p.person_id = k.person_id LEFT JOIN identity i ON i.id = p.root_id "
            "LEFT JOIN month m ON m.root_id = p.root_id AND m.month = k.month "
            "LEFT JOIN unpublished u ON u.partition = k.partition AND u.root_id = p.root_id AND u.month = k.month "
            "LEFT JOIN gone_month g ON g.partition = k.partition AND g.person_id = k.person_id AND g.month = k.month",
            k=Keys(
                {"key": "text", "person_id": "text", "month": "bigint", "partition": "bigint"},
                [(key.decode(), *parsed, partition_of(key, self._partitions)) for key, parsed in months.items()],
            ),
        )
        found: dict[bytes, tuple[Unpublished | None, bool]] = {}
        for text, root, name, version, facts, waiting, going in rows:
            key = text.encode()
            person_id, number = months[key]
            month = None
            if version is not None:
                with self._result.reading(person_id, f"facts of {month_text(number)}"):
                    month = Unpublished(0, root, number, version, person_id, is_identified(name or ""), unpack(facts))
            found[key] = (month, waiting is not None or going is not None)
        return found


def _parsed(key: bytes) -> tuple[str, int] | None:
    try:
        person_id, _, month = key.decode().rpartition("/")
        return person_id, month_number(month)
    except ValueError:
        return None


def _different(person_id: str, what: str, found: _Published, right: _Published) -> list[_Wrong]:
    wrong = []
    if (found.identified, found.gone) != (right.identified, right.gone):
        stand = ((one.identified, one.gone) for one in (found, right))
        wrong.append(_Wrong(person_id, f"{what}: identified, gone", *stand))
    there, expected = ({bytes(fact) for fact in one.facts} for one in (found, right))
    wrong += [_Wrong(person_id, f"{what}: fact", fact.decode(errors="replace"), None) for fact in sorted(there - expected)]
    wrong += [_Wrong(person_id, f"{what}: fact", None, fact.decode(errors="replace")) for fact in sorted(expected - there)]
    return wrong


def _decision(record: Record) -> Decision | None:
    try:
        return read_decision(record.value or b"")
    except Rejected:
        return None
