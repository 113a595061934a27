"""The next generation while it is filled: where it stands, and what of the facts it has still to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.metrics.store.changes import Change
from services.metrics.store.tables import FACT_KEY, FILLING
from services.shared.db import Database

_KEY = tuple(FACT_KEY)
_COLUMNS = ("generation", "step", "facts", "total", *(f"{end}_{name}" for end in ("after", "until") for name in _KEY))


class FactKey(NamedTuple):
    """A place in the order of facts."""

    partition: int
    person_id: str
    month: str
    key: str


BEGINNING = FactKey(-1, "", "", "")
END = FactKey(2**31 - 1, "", "", "")


class Filling(NamedTuple):
    """Facts up to `after` are counted, `facts` of about `total`; those up to `until` are read next."""

    generation: int
    step: int
    facts: int
    total: int
    after: FactKey
    until: FactKey

    @property
    def is_read(self) -> bool:
        """Whether every fact was read; what is left are changes."""
        return self.after == END


def current(database: Database, tx: Connection) -> Filling | None:
    """The generation that is being filled, None if there is none."""
    rows = database.execute(tx, f"SELECT {', '.join(_COLUMNS)} FROM filling")
    return Filling._make((*rows[0][:4], FactKey(*rows[0][4:8]), FactKey(*rows[0][8:12]))) if rows else None


def begin(database: Database, tx: Connection, generation: int, total: int, page: int) -> Filling:
    """From the first fact on, `page` facts at once."""
    filling = Filling(generation, 0, 0, total, BEGINNING, _page_end(database, tx, BEGINNING, page))
    database.insert(tx, FILLING, _COLUMNS, [(*filling[:4], *filling.after, *filling.until)])
    return filling


def claim(database: Database, tx: Connection, filling: Filling) -> bool:
    """Whether nobody has gone on from here; from now to the end of the transaction nobody else will."""
    mine = "UPDATE filling SET step = step + 1 WHERE generation = :generation AND step = :step"
    return database.count(tx, mine, {"generation": filling.generation, "step": filling.step}) == 1


def advance(database: Database, tx: Connection, filling: Filling, facts: int, last: FactKey | None, page: int) -> Filling:
    """The page is counted, and had so many facts up to `last`. No consumer may be at work: what changes from here on up to the end of the
    next page is noted.

    Both ends are facts that are there, or whose going is noted, so that a check knows them (`checking_filling`).
    """
    if filling.until == END:
        after = until = END
    else:
        after, until = last or filling.after, _page_end(database, tx, filling.until, page)
    places = {f"{end}_{name}": value for end, at in (("after", after), ("until", until)) for name, value in at._asdict().items()}
    database.execute(
        tx,
        f"UPDATE filling SET facts = facts + :facts, {', '.join(f'{name} = :{name}' for name in places)} WHERE generation = :generation",
        {"facts": facts, "generation": filling.generation, **places},
    )
    return Filling(filling.generation, filling.step + 1, filling.facts + facts, filling.total, after, until)


def catch_up(database: Database, tx: Connection, filling: Filling, facts: int) -> Filling:
    """Changes are counted by which there are so many facts more (or fewer)."""
    given = {"facts": facts, "generation": filling.generation}
    database.execute(tx, "UPDATE filling SET facts = facts + :facts WHERE generation = :generation", given)
    return filling._replace(step=filling.step + 1, facts=filling.facts + facts)


def counted(database: Database, tx: Connection, filling: Filling) -> int:
    """How many facts should be counted: those up to `after`, but for what came and left of them since."""
    up_to = f"({', '.join(_KEY)}) <= ({_places('after')})"
    rows = database.execute(
        tx,
        f"SELECT (SELECT count(*) FROM fact WHERE {up_to}) - (SELECT coalesce(sum(sign), 0) FROM fact_change WHERE {up_to})",
        _bounds(filling),
    )
    return int(rows[0][0])


def noted(database: Database, tx: Connection, filling: Filling, page: int = 2000) -> Iterator[list[Change]]:
    """What has become of the facts up to `after` since they were counted, in pages."""
    last = 0
    sql = (
        f"SELECT id, {', '.join(Change._fields)} FROM fact_change WHERE id > :last AND ({', '.join(_KEY)}) <= ({_places('after')}) "
        f"ORDER BY id LIMIT {page}"
    )
    while rows := database.execute(tx, sql, {"last": last, **_bounds(filling)}):
        last = rows[-1][0]
        yield [Change._make((*row[1:6], bool(row[6]), row[7])) for row in rows]


def facts_of(database: Database, tx: Connection, filling: Filling) -> list[Change]:
    """The facts of the page that is being read, in their order, as if they came now."""
    columns = ", ".join(f"f.{name}" for name in _KEY)
    rows = database.execute(
        tx,
        f"SELECT {columns}, m.identified, f.body FROM fact f JOIN person_month m "
        "ON m.partition = f.partition AND m.person_id = f.person_id AND m.month = f.month "
        f"WHERE ({columns}) > ({_places('after')}) AND ({columns}) <= ({_places('until')}) ORDER BY {columns}",
        _bounds(filling),
    )
    return [Change._make((*row[:4], 1, bool(row[4]), row[5])) for row in rows]


def changes_of(database: Database, tx: Connection, filling: Filling) -> Sequence[int]:
    """Ids of the changes that the page's facts, read in the same snapshot, show already."""
    columns = ", ".join(_KEY)
    sql = f"SELECT id FROM fact_change WHERE ({columns}) > ({_places('after')}) AND ({columns}) <= ({_places('until')})"
    return [row[0] for row in database.execute(tx, sql, _bounds(filling))]


def _page_end(database: Database, tx: Connection, after: FactKey, page: int) -> FactKey:
    columns = ", ".join(_KEY)
    rows = database.execute(
        tx,
        f"SELECT {columns} FROM fact WHERE ({columns}) > ({_places('after')}) ORDER BY {columns} LIMIT 1 OFFSET {page - 1}",
        {f"after_{name}": value for name, value in after._asdict().items()},
    )
    return FactKey(*rows[0]) if rows else END


def _places(end: str) -> str:
    return ", ".join(f":{end}_{name}" for name in _KEY)


def _bounds(filling: Filling) -> dict[str, object]:
    ends = (("after", filling.after), ("until", filling.until))
    return {f"{end}_{name}": value for end, at in ends for name, value in at._asdict().items()}
