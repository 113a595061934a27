"""The tables of ingest's own database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, MetaData, Table, Text, false

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
