"""Erasures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.create_table(
        "done",
        sa.Column("command", TEXT, nullable=False),
        sa.Column("room", TEXT, nullable=False),
        sa.Column("part", TEXT, nullable=False),
        sa.Column("removed", TEXT, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("command", "room", "part"),
    )
    op.create_table(
        "erasure",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("applied_us", sa.BigInteger(), nullable=False),
        sa.Column("removed", TEXT, nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("nulls", sa.Integer(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("mentioned", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "gone_month",
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("person_id", TEXT, nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("erasure", TEXT, nullable=True),
        sa.Column("place", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("partition", "person_id", "month"),
        sqlite_with_rowid=False,
    )
    op.create_index("gone_month_erasure", "gone_month", ["erasure"], unique=False)
