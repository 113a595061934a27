"""The tables of the spine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database gives."""


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("id", SERIAL, sa.Identity(always=False), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("customers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "identity_set",
        sa.Column("id", SERIAL, sa.Identity(always=False), nullable=False),
        sa.Column("members", TEXT, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("members"),
    )
    op.create_index("identity_set_customer", "identity_set", ["customer_id"], unique=False)
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "journey",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("entry_stage", sa.SmallInteger(), nullable=False),
        sa.Column("furthest_stage", sa.SmallInteger(), nullable=False),
        sa.Column("current_stage", sa.SmallInteger(), nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("first_source", TEXT, nullable=False),
        sa.Column("first_id", TEXT, nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("journey_root", "journey", ["root_id"], unique=False)
    op.create_index("journey_started", "journey", ["started_us", "id"], unique=False)
    op.create_table(
        "membership",
        sa.Column("identity_id", sa.BigInteger(), nullable=False),
        sa.Column("set_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("identity_id", "set_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "month",
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("opening", sa.LargeBinary(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("root_id", "month"),
    )
    op.create_table(
        "person",
        sa.Column("root_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person_id", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("touchpoints", sa.BigInteger(), nullable=False),
        sa.Column("suspected_bot", sa.Boolean(), nullable=False),
        sa.Column("last_time_us", sa.BigInteger(), nullable=False),
        sa.Column("last_original_us", sa.BigInteger(), nullable=False),
        sa.Column("last_case_rank", sa.SmallInteger(), nullable=False),
        sa.Column("last_source", TEXT, nullable=False),
        sa.Column("last_id", TEXT, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("root_id"),
        sa.UniqueConstraint("person_id"),
    )
    op.create_index(
        "person_bots",
        "person",
        ["root_id"],
        unique=False,
        sqlite_where=sa.text("suspected_bot"),
        postgresql_where=sa.text("suspected_bot"),
    )
    op.create_table(
        "position",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=False),
        sa.Column("partitions", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition"),
    )
    op.create_table(
        "service_case",
        sa.Column("system", TEXT, nullable=False),
        sa.Column("case_id", TEXT, nullable=False),
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("topic", TEXT, nullable=True),
        sa.Column("fact", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("system", "case_id"),
    )
    op.create_index("service_case_opened", "service_case", ["opened_us", "system", "case_id"], unique=False)
    op.create_index("service_case_root", "service_case", ["root_id"], unique=False)
    op.create_table(
        "touchpoint",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("anchor_id", sa.BigInteger(), nullable=False),
        sa.Column("set_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("original_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("case_rank", sa.SmallInteger(), nullable=False),
        sa.Column("has_copies", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", "anchor_id"),
    )
    op.create_index("touchpoint_owner", "touchpoint", ["owner_id", "time_us"], unique=False)
    op.create_index("touchpoint_set", "touchpoint", ["set_id", "time_us"], unique=False)
    op.create_table(
        "unpublished",
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "root_id", "month"),
        sqlite_with_rowid=False,
    )
