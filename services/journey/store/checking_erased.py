"""Whether what erasures left fits together: marks, ghosts, lost names, receipts, months that go (docs/decisions/0011)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from schemas.calendar import month_text
from schemas.facts import month_key
from schemas.identity import is_customer
from services.journey.domain.clocks import counted_us
from services.journey.domain.derive import CASE_RANKS
from services.journey.store.erasing import LISTED
from services.journey.store.hiding import is_hidden
from services.journey.store.identities import Identities
from services.journey.store.receipts import Receipts
from services.journey.store.tables import DONE, ERASED_PERSON, ERASURE, GHOST, GONE_MONTH, IDENTITY, IDENTITY_SET
from services.shared.bus import partition_of
from services.shared.checked import Checked
from services.shared.db import Database, Keys
from services.shared.paging import Rows, pages

_LOST = re.compile(r"[a-z_]+: [0-9a-f]{32}")
_HASH, _DIGEST = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
_RANKS = range(len(CASE_RANKS) + 1)
_counts = msgspec.json.Decoder(dict[str, int]).decode


class CheckingErased:
    """One check, in one snapshot; nothing but a few short queries where nobody was ever erased. `partitions`: of the topic `journeys`."""

    def __init__(self, database: Database, tx: Connection, result: Checked, partitions: int | None) -> None:
        self._db, self._tx, self._result, self._partitions = database, tx, result, partitions
        erasures = database.execute(tx, "SELECT id, at_us FROM erasure")
        self._ids, self._times = {row[0] for row in erasures}, {row[1] for row in erasures}

    def steps(self) -> Iterator[None]:
        """Everything, in pages."""
        self._totals()
        for check in (self._receipts, self._said, self._people, self._months, self._ghosts, self._marks, self._haunted):
            yield from check()

    def _totals(self) -> None:
        latest = self._db.execute(self._tx, "SELECT max(erased_us) FROM identity")[0][0]
        self._compare("newest mark of an erasure", latest, max(self._times, default=None))

    def _receipts(self) -> Iterator[None]:
        """Sums that have to come out: months that go, people, and a touchpoint for every ghost at least."""
        receipts, people, touchpoints = Receipts(self._db), 0, 0
        rows = self._db.execute(self._tx, "SELECT erasure, count(*) FROM gone_month WHERE erasure IS NOT NULL GROUP BY erasure")
        waiting = {row[0]: row[1] for row in rows}
        for page in pages(self._db, self._tx, ERASURE, ()):
            for (id,) in page:
                with self._result.reading("", f"receipt of erasure {id}"):
                    one = receipts.read(self._tx, id)
                    assert one is not None
                    least = min(one.months, one.nulls, one.refused, one.mentioned, *one.removed.values(), 0)
                    self._compare(f"erasure {id}: least count", least, 0)
                    self._compare(f"erasure {id}: months", one.months, one.removed.get("months", 0))
                    gone = one.nulls + waiting.get(id, 0)
                    self._compare(f"erasure {id}: months that are gone or go", gone, min(gone, one.months))
                    self._compare(f"erasure {id}: mentions listed", len(one.mentions), min(one.mentioned, LISTED))
                    people += one.removed.get("people", 0)
                    touchpoints += one.removed.get("touchpoints", 0) + one.refused
            yield None
        self._compare("people who were erased", self._count("erased_person"), people)
        ghosts = self._count("ghost")
        self._compare("ghosts, of removed and refused touchpoints", ghosts, min(ghosts, touchpoints))

    def _said(self) -> Iterator[None]:
        """What other rooms removed. Ingest may say it of an erasure that journey has not come to, so that is not asked."""
        for page in pages(self._db, self._tx, DONE, ("removed",)):
            for command, room, part, removed in page:
                with self._result.reading("", f"what {room} did for erasure {command}"):
                    self._compare(
                        f"{room}, part {part!r} of erasure {command}: least count", min([0, *_counts(removed).values()]), 0
                    )
                self._compare(f"room that says what it did for erasure {command}", room in ("ingest", "metrics"), True)
            yield None

    def _people(self) -> Iterator[None]:
        for page in pages(self._db, self._tx, ERASED_PERSON, ("erasure",)):
            for hashed, erasure in page:
                self._form("hash of an erased person", hashed, _HASH)
                self._compare(
                    f"erasure of the person of hash {hashed}", erasure, erasure if erasure in self._ids else "one that there is"
                )
            yield None

    def _months(self) -> Iterator[None]:
        """What goes lies where the bus has it; its place is compared with the topic."""
        for page in pages(self._db, self._tx, GONE_MONTH, ("erasure",)):
            for partition, person_id, month, erasure in page:
                what = f"month {month_text(month)} that goes"
                with self._result.reading(person_id, what):
                    self._result.compare(person_id, f"{what}: person_id", person_id, str(UUID(person_id)))
                if self._partitions is not None:
                    right = partition_of(month_key(person_id, month_text(month)), self._partitions)
                    self._result.compare(person_id, f"{what}: partition", partition, right)
                is_known = erasure is None or erasure in self._ids
                self._result.compare(person_id, f"{what}: erasure", erasure, erasure if is_known else "one that there is")
            yield None

    def _ghosts(self) -> Iterator[None]:
        columns = ("set_id", "time_us", "original_us", "received_us", "case_rank", "digest")
        for page in pages(self._db, self._tx, GHOST, columns):
            for key, _, time_us, original_us, received_us, rank, digest in page:
                self._form("key of a ghost", key, _HASH)
                self._form(f"digest of ghost {key}", digest, _DIGEST)
                self._compare(f"time of ghost {key}", time_us, counted_us(original_us, received_us))
                self._compare(f"rank of ghost {key} is one", rank in _RANKS, True)
            unsaid = self._db.execute(
                self._tx,
                "SELECT DISTINCT s.id FROM {k} JOIN identity_set s ON s.id = k.id WHERE NOT s.has_ghosts",
                k=Keys.ids(sorted({row[1] for row in page})),
            )
            for (id,) in unsaid:
                self._compare(f"identity set {id}: has ghosts", False, True)
            yield None

    # -- identities ---------------------------------------------------------------------------------------------------------

    def _marks(self) -> Iterator[None]:
        """Marks are times of erasures; who lost the name is wiped, and who is wiped and has nothing left has lost it."""
        for page in pages(self._db, self._tx, IDENTITY, ("name", "erased_us", "wiped_us")):
            for id, name, erased_us, wiped_us in page:
                for what, us in (("erased", erased_us), ("wiped", wiped_us)):
                    right = us if us is None or us in self._times else "the time of an erasure"
                    self._compare(f"identity {id}: {what} up to", us, right)
                if wiped_us is not None:
                    self._compare(
                        f"identity {id}: wiped no later than erased", erased_us is not None and wiped_us <= erased_us, True
                    )
                if is_hidden(name):
                    self._form(f"name of identity {id}", name, _LOST)
                    self._compare(f"identity {id}: has lost its name, and is wiped", wiped_us is not None, True)
            self._named(page)
            yield None

    def _named(self, page: Rows) -> None:
        """Names that are left where nothing else is."""
        wiped = {row[0]: row[1] for row in page if row[3] is not None and not is_hidden(row[1])}
        if not wiped:
            return
        names = Identities(self._db)
        standing = {one.id: one.standing if is_customer(one.name) else None for one in names.read_ids(self._tx, wiped)}
        sets = {one.id: one for one in names.sets_as_sent(self._tx, standing)}
        keys = Keys.ids(sorted(sets))
        used = self._db.execute(
            self._tx, "SELECT k.id FROM {k} WHERE EXISTS (SELECT 1 FROM touchpoint p WHERE p.set_id = k.id)", k=keys
        )
        kept = {member for (id,) in used for member in sets[id].as_sent}
        linked = self._db.execute(
            self._tx,
            "SELECT k.id FROM {k} JOIN command c ON c.one_id = k.id OR c.other_id = k.id WHERE c.action = 'link'",
            k=Keys.ids(sorted(wiped)),
        )
        for id in sorted(wiped.keys() - kept - {row[0] for row in linked}):
            self._compare(f"identity {id}, of which nothing is left: its name", wiped[id].partition(":")[0], "lost")

    def _haunted(self) -> Iterator[None]:
        """All who are in a set with ghosts say so."""
        names = Identities(self._db)
        for page in pages(self._db, self._tx, IDENTITY_SET, ("has_ghosts",)):
            haunted = [row[0] for row in page if row[1]]
            if haunted:
                with self._result.reading("", f"identity sets with ghosts from {haunted[0]} on"):
                    sets = names.sets(self._tx, haunted)
                    members = {member for one in sets for member in (*one.members, *one.as_sent)}
                    for one in names.read_ids(self._tx, members):
                        self._compare(f"identity {one.id}: has ghosts", one.has_ghosts, True)
            yield None

    # -- the least ----------------------------------------------------------------------------------------------------------

    def _count(self, table: str) -> int:
        return int(self._db.execute(self._tx, f"SELECT count(*) FROM {table}")[0][0])

    def _form(self, what: str, text: str, form: re.Pattern[str]) -> None:
        self._compare(f"{what} is well-formed", form.fullmatch(text) is not None, True)

    def _compare(self, what: str, found: object, right: object) -> None:
        self._result.compare("", what, bool(found) if isinstance(right, bool) else found, right)
