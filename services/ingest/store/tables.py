"""The tables of ingest's own database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, false

from services.shared.positions import position_table

METADATA = MetaData()
SOURCE = Table(
    "source",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("origins", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("is_trusted", Boolean, nullable=False, server_default=false()),
)
WRITE_KEY = Table(
    "write_key",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
)
POSITION = position_table(METADATA)
REJECTED = Table(
    "rejected",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("room", Text, nullable=False),
    Column("topic", Text),
    Column("partition", Integer),
    Column("at_offset", BigInteger),
    Column("key", LargeBinary),
    Column("item_index", Integer),
    Column("item_id", Text),
    Column("system", Text),
    Column("body", LargeBinary),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("replayed_us", BigInteger),
    Index("rejected_time", "at_us", "id"),
    Index("rejected_what", "source", "code", "at_us"),
)
"""What was refused. Without `body` the bytes could not be kept. `replayed_us`: when a replay was accepted last."""
REPLAY = Table(
    "replay",
    METADATA,
    Column("rejected_id", Text, primary_key=True),
    Column("at_us", BigInteger, primary_key=True),
    Column("status", Text, nullable=False),
    Column("code", Text),
    Column("message", Text),
    Column("pointer", Text),
    Column("mended", Boolean, nullable=False),
    Column("decided_by", Text, nullable=False),
)
"""The history of replays: what became of each."""
SECRET = Table(
    "secret",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Made once for the installation, never shown."""
ERASURE = Table(
    "erasure",
    METADATA,
    Column("command", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
    Column("removed", BigInteger, nullable=False),
    Column("said", BigInteger, nullable=False),
)
"""Commands to erase somebody that were carried out here: how many records they removed, and how many were said to be (-1: nothing said)."""
ERASED = Table(
    "erased",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("command", Text, primary_key=True),
)
"""Keyed hashes of what stands for somebody who was erased, so that what comes late is not kept either."""
