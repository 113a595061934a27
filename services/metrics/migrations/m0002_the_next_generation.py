"""The next generation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database gives."""


def upgrade() -> None:
    op.create_table(
        "fact_change",
        sa.Column("id", SERIAL, sa.Identity(always=False), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sign", sa.SmallInteger(), nullable=False),
        sa.Column("identified", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "filling",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("after_partition", sa.Integer(), nullable=False),
        sa.Column("after_person_id", sa.Text(), nullable=False),
        sa.Column("after_month", sa.Text(), nullable=False),
        sa.Column("after_key", sa.Text(), nullable=False),
        sa.Column("until_partition", sa.Integer(), nullable=False),
        sa.Column("until_person_id", sa.Text(), nullable=False),
        sa.Column("until_month", sa.Text(), nullable=False),
        sa.Column("until_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("generation"),
    )
    op.create_index("fact_change_fact", "fact_change", ["partition", "person_id", "month", "key"], unique=False)
