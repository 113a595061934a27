"""The tables of the spine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.create_table(
        "effect",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "at_us", "partition", "person_id", "month", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("effect_fact", "effect", ["partition", "person_id", "month", "key"], unique=False)
    op.create_table(
        "fact",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "person_id", "month", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("fact_until", "fact", ["kind", "until_us"], unique=False)
    op.create_table(
        "generation",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "histogram",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cube", sa.Text(), nullable=False),
        sa.Column("grain", sa.Text(), nullable=False),
        sa.Column("effective", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cohort", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dims", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "cube", "grain", "effective", "cohort", "dims", "partition"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "person_month",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("identified", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "person_id", "month"),
        sqlite_with_rowid=False,
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
        "rollup",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cube", sa.Text(), nullable=False),
        sa.Column("grain", sa.Text(), nullable=False),
        sa.Column("effective", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cohort", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dims", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("v0", sa.BigInteger(), nullable=False),
        sa.Column("v1", sa.BigInteger(), nullable=False),
        sa.Column("v2", sa.BigInteger(), nullable=False),
        sa.Column("v3", sa.BigInteger(), nullable=False),
        sa.Column("v4", sa.BigInteger(), nullable=False),
        sa.Column("v5", sa.BigInteger(), nullable=False),
        sa.Column("v6", sa.BigInteger(), nullable=False),
        sa.Column("v7", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "cube", "grain", "effective", "cohort", "dims", "partition"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "watermark",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition"),
    )
