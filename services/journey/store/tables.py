"""Journey's tables. Text is compared by its bytes on both databases; times are microseconds since 1970."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)

from services.shared.positions import position_table

METADATA = MetaData()
_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Serial = BigInteger().with_variant(Integer, "sqlite")

POSITION = position_table(METADATA)

INSTALLATION = Table(
    "installation",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("namespace", _Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("erasure_key", _Text),
    Column("journeys_id", _Text),
    Column("journeys_begin", BigInteger),
    Column("journeys_end", BigInteger),
    Column("made_by", _Text),
    Column("spread", Integer),
)
"""One row: the UUID namespace of person ids, and the last version given out (SQLite; PostgreSQL has the sequence `version_seq`); which
topic `journeys` all months were published to, and the sum of its partitions' first offsets then (`store/destination.py`); the fingerprint
of the settings by which everything was derived (`store/generation.py`; None: a version that did not say); over how many partitions months
are spread (`store/spread.py`)."""

IDENTITY = Table(
    "identity",
    METADATA,
    Column("id", _Serial, Identity(), primary_key=True),
    Column("name", _Text, nullable=False, unique=True),
    Column("customers", Integer, nullable=False, server_default=text("0")),
    Column("customer_id", BigInteger),
    Column("erased_us", BigInteger),
    Column("wiped_us", BigInteger),
    Column("has_ghosts", Boolean, nullable=False, server_default=text("false")),
    Column("stands_for", BigInteger),
    Column("is_parted", Boolean, nullable=False, server_default=text("false")),
    Index(
        "identity_stands_for",
        "stands_for",
        sqlite_where=text("stands_for IS NOT NULL"),
        postgresql_where=text("stands_for IS NOT NULL"),
    ),
)
"""Every identity ever seen or named by a command. `customers`: with how many different customers; `customer_id`: the only one, if it
is one. `stands_for`: the identity that it is linked to and goes by (none: itself); `is_parted`: an unlink that counts names it.
For `erased_us`, `wiped_us` and `has_ghosts` see `domain/identity`; of erased people the name is a keyed hash."""

IDENTITY_SET = Table(
    "identity_set",
    METADATA,
    Column("id", _Serial, Identity(), primary_key=True),
    Column("members", _Text, nullable=False, unique=True),
    Column("customer_id", BigInteger),
    Column("standing", _Text),
    Column("parted", _Text),
    Column("has_ghosts", Boolean, nullable=False, server_default=text("false")),
    Index("identity_set_customer", "customer_id"),
)
"""Identities seen together in one touchpoint: their ids, highest rank first, joined by spaces. `standing`: the same as they stand by
links, where that differs; `customer_id`: the customer among those; `parted`: pairs of those of which it proves nothing, as `1-2 1-3`."""

MEMBERSHIP = Table(
    "membership",
    METADATA,
    Column("identity_id", BigInteger, nullable=False),
    Column("set_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("identity_id", "set_id"),
    sqlite_with_rowid=False,
)
"""The sets that a handle is in, as sent (customers are found by `identity_set.customer_id`)."""

STANDING = Table(
    "standing",
    METADATA,
    Column("identity_id", BigInteger, nullable=False),
    Column("set_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("identity_id", "set_id"),
    sqlite_with_rowid=False,
)
"""The sets that a handle is in only because others stand for it."""

TOUCHPOINT = Table(
    "touchpoint",
    METADATA,
    Column("source", _Text, nullable=False),
    Column("id", _Text, nullable=False),
    Column("anchor_id", BigInteger, nullable=False),
    Column("set_id", BigInteger, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("original_us", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("case_rank", SmallInteger, nullable=False),
    Column("has_copies", Boolean, nullable=False),
    Column("without_device", Boolean, nullable=False, server_default=false()),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("source", "id", "anchor_id"),
    Index("touchpoint_owner", "owner_id", "time_us"),
    Index("touchpoint_set", "set_id", "time_us"),
    Index(
        "touchpoint_without_device",
        "source",
        "received_us",
        sqlite_where=text("without_device"),
        postgresql_where=text("without_device"),
    ),
)
"""The source of truth: every touchpoint once, as it travelled. `owner_id` is the root identity it resolves to; `has_copies`: the same
(source, id) also came under another anchor; `without_device`: its time was read from the source's own clock. `time_us` and
`original_us` are put right by the clock."""

CLOCK_DAY = Table(
    "clock_day",
    METADATA,
    Column("source", _Text, nullable=False),
    Column("device_id", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    Column("least_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "device_id", "day"),
    sqlite_with_rowid=False,
)
"""The least delay that a clock showed among the stored touchpoints of a UTC day of receipt. `device_id` is the identity of a device,
0 for the source itself."""

PERSON = Table(
    "person",
    METADATA,
    Column("root_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person_id", _Text, nullable=False, unique=True),
    Column("version", BigInteger, nullable=False),
    Column("touchpoints", BigInteger, nullable=False),
    Column("suspected_bot", Boolean, nullable=False),
    Column("too_large", Boolean, nullable=False, server_default=false()),
    Column("last_time_us", BigInteger, nullable=False),
    Column("last_original_us", BigInteger, nullable=False),
    Column("last_case_rank", SmallInteger, nullable=False),
    Column("last_source", _Text, nullable=False),
    Column("last_id", _Text, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index(
        "person_set_aside",
        "person_id",
        sqlite_where=text("suspected_bot OR too_large"),
        postgresql_where=text("suspected_bot OR too_large"),
    ),
)
"""A person by root identity. `state` is the fold's state after the newest touchpoint; the `last_…` columns are its place in the order.
Set aside are those with too many touchpoints (`suspected_bot`: nothing is folded), and those of whom a month is `too_large` for the bus
(all is kept, nothing published)."""

MONTH = Table(
    "month",
    METADATA,
    Column("root_id", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("opening", LargeBinary, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    PrimaryKeyConstraint("root_id", "month"),
)
"""A person's facts of one month (JSON, by key), and the fold's state before the month's first touchpoint."""

TOO_LARGE = Table(
    "too_large",
    METADATA,
    Column("root_id", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("root_id", "month"),
    sqlite_with_rowid=False,
)
"""The months whose facts are too large for the bus, with their size."""

RELEASED = Table(
    "released",
    METADATA,
    Column("command_id", _Text, nullable=False),
    Column("identity_id", BigInteger, nullable=False),
    Column("root_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("command_id", "identity_id"),
    Index("released_identity", "identity_id"),
    Index("released_root", "root_id"),
)
"""For whom releases hold: the identity that a command named led to this root at the command's time, and that to the next one; 0 where
the person was erased since."""

UNPUBLISHED = Table(
    "unpublished",
    METADATA,
    Column("partition", Integer, nullable=False),
    Column("root_id", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("partition", "root_id", "month"),
    sqlite_with_rowid=False,
)
"""The relay's work list: months whose newest version is not on the topic `journeys` yet. A month without a row in `month` is gone."""

GONE_MONTH = Table(
    "gone_month",
    METADATA,
    Column("partition", Integer, nullable=False),
    Column("person_id", _Text, nullable=False),
    Column("month", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("erasure", _Text),
    Column("place", BigInteger),
    PrimaryKeyConstraint("partition", "person_id", "month"),
    Index("gone_month_erasure", "erasure"),
    sqlite_with_rowid=False,
)
"""Months of which nothing is left, until the bus has their nulls. `place`: the offset at which it was published as gone (none: it was
not yet); `erasure`: the command that says so, if one does."""

ERASURE = Table(
    "erasure",
    METADATA,
    Column("id", _Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("applied_us", BigInteger, nullable=False),
    Column("removed", _Text, nullable=False),
    Column("months", Integer, nullable=False),
    Column("nulls", Integer, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("mentioned", Integer, nullable=False),
    Column("mentions", _Text, nullable=False, server_default=text("'[]'")),
)
"""Erasures that were carried out, and what became of them; nothing tells whom. `removed`: rows by table, as JSON; `months`: how many were to
be published as gone, `nulls`: of how many the null is on the bus; `refused`: touchpoints that came later and were refused; `mentioned`: how many
touchpoints of others name the person, `mentions` the first of these, as JSON."""

ERASED_PERSON = Table(
    "erased_person",
    METADATA,
    Column("hash", _Text, primary_key=True),
    Column("erasure", _Text, nullable=False),
)
"""Keyed hashes of the ids of people who were erased."""

GHOST = Table(
    "ghost",
    METADATA,
    Column("key", _Text, primary_key=True),
    Column("set_id", BigInteger, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("original_us", BigInteger, nullable=False),
    Column("case_rank", SmallInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("digest", _Text, nullable=False),
    Index("ghost_set", "set_id", "time_us"),
)
"""What is left of removed touchpoints, for the sake of who owned what. `key` is a keyed hash of anchor, source and id; `digest` are the
first bytes of the body's, by which copies are told apart."""

DONE = Table(
    "done",
    METADATA,
    Column("command", _Text, nullable=False),
    Column("room", _Text, nullable=False),
    Column("part", _Text, nullable=False),
    Column("removed", _Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("command", "room", "part"),
)
"""What other rooms did for erasures, by the topic `commands.done`; `removed` as JSON."""

JOURNEY = Table(
    "journey",
    METADATA,
    Column("id", _Text, primary_key=True),
    Column("root_id", BigInteger, nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("entry_stage", SmallInteger, nullable=False),
    Column("furthest_stage", SmallInteger, nullable=False),
    Column("current_stage", SmallInteger, nullable=False),
    Column("channel", _Text, nullable=False),
    Column("source", _Text, nullable=False),
    Column("first_source", _Text, nullable=False),
    Column("first_id", _Text, nullable=False),
    Column("gone", Boolean, nullable=False),
    Index("journey_started", "started_us", "id"),
    Index("journey_root", "root_id"),
)
"""Journeys for lists and look-ups. A row whose journey is gone stays, so that its id still answers."""

CASE = Table(
    "service_case",
    METADATA,
    Column("system", _Text, nullable=False),
    Column("case_id", _Text, nullable=False),
    Column("root_id", BigInteger, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("resolved", Boolean, nullable=False),
    Column("channel", _Text, nullable=False),
    Column("topic", _Text),
    Column("fact", LargeBinary, nullable=False),
    PrimaryKeyConstraint("system", "case_id"),
    Index("service_case_opened", "opened_us", "system", "case_id"),
    Index("service_case_root", "root_id"),
)
"""Cases for lists; `fact` is the CaseFact as JSON."""

COMMAND = Table(
    "command",
    METADATA,
    Column("id", _Text, primary_key=True),
    Column("action", _Text, nullable=False),
    Column("one_id", BigInteger, nullable=False),
    Column("other_id", BigInteger),
    Column("decided_by", _Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("reason", _Text),
    Index("command_one", "one_id"),
    Index("command_other", "other_id"),
)
"""Every command once, with the identities that it names (two for link and unlink). With the touchpoints, the source of truth."""

MENTION = Table(
    "mention",
    METADATA,
    Column("source", _Text, nullable=False),
    Column("id", _Text, nullable=False),
    Column("anchor_id", BigInteger, nullable=False),
    Column("kind", _Text, nullable=False),
    Column("name", _Text, nullable=False),
    PrimaryKeyConstraint("source", "id", "anchor_id", "kind"),
    Index("mention_name", "name"),
    Index("mention_anchor", "anchor_id", sqlite_where=text("kind = 'alias'"), postgresql_where=text("kind = 'alias'")),
)
"""Stored touchpoints that name somebody else, which proves nothing: `kind` is `referral` (who referred this person) or `alias` (another
customer whom this one is said to be, decision 0019)."""
