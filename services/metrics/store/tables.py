"""The tables of metrics. Columns of rollups are in the order in which questions narrow them down."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

from services.metrics.domain.cubes import WIDTH
from services.shared.positions import position_table

METADATA = MetaData()
POSITION = position_table(METADATA)
VALUES = tuple(f"v{i}" for i in range(WIDTH))
FACT_KEY: Mapping[str, type[Integer] | type[Text]] = {"partition": Integer, "person_id": Text, "month": Text, "key": Text}
ROW_KEY = ("generation", "cube", "grain", "effective", "cohort", "dims", "partition")

GENERATION = Table(
    "generation",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("live", Boolean, nullable=False),
)
"""One row is live. `hash` is of the contributions' version and the settings that matter to them. A row that is neither live nor being
filled is of a generation whose rollups are still to be removed."""

WATERMARK = Table(
    "watermark",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
"""The newest watermark of each partition of `journeys`, and when the bus took it."""

PERSON_MONTH = Table(
    "person_month",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("person_id", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("identified", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

FACT = Table(
    "fact",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("person_id", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("fact_until", "kind", "until_us"),
    sqlite_with_rowid=False,
)
"""A fact as it was published. It takes effect at `until_us` for the last time, and before that on the day of `until_us` or at the
times in `effect`."""

EFFECT = Table(
    "effect",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("at_us", BigInteger, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Index("effect_fact", "partition", "person_id", "month", "key"),
    sqlite_with_rowid=False,
)
"""The earlier effects of facts that take effect on several days (orders, cases)."""

ROLLUP = Table(
    "rollup",
    METADATA,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("cube", Text, primary_key=True),
    Column("grain", Text, primary_key=True),
    Column("effective", Integer, primary_key=True, autoincrement=False),
    Column("cohort", Integer, primary_key=True, autoincrement=False),
    Column("dims", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in VALUES),
    sqlite_with_rowid=False,
)

HISTOGRAM = Table(
    "histogram",
    METADATA,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("cube", Text, primary_key=True),
    Column("grain", Text, primary_key=True),
    Column("effective", Integer, primary_key=True, autoincrement=False),
    Column("cohort", Integer, primary_key=True, autoincrement=False),
    Column("dims", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

FILLING = Table(
    "filling",
    METADATA,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("step", BigInteger, nullable=False),
    Column("facts", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    *(Column(f"after_{name}", kind, nullable=False) for name, kind in FACT_KEY.items()),
    *(Column(f"until_{name}", kind, nullable=False) for name, kind in FACT_KEY.items()),
)
"""The next generation while it is filled, in the order of the facts' keys. Facts up to `after_…` are counted in it, those up to
`until_…` are being read; every change of a fact up to there is noted in `fact_change`. So many `facts` are counted, of about `total`.
`step` moves by compare-and-set."""

FACT_CHANGE = Table(
    "fact_change",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    *(Column(name, kind, nullable=False) for name, kind in FACT_KEY.items()),
    Column("sign", SmallInteger, nullable=False),
    Column("identified", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Index("fact_change_fact", *FACT_KEY),
)
"""Facts that came (`sign` 1) or left (-1) after the next generation had read their place; it has not counted them yet."""
