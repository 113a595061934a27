"""Ghosts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.create_table(
        "erased_person",
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("erasure", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "ghost",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("set_id", sa.BigInteger(), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("original_us", sa.BigInteger(), nullable=False),
        sa.Column("case_rank", sa.SmallInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ghost_set", "ghost", ["set_id", "time_us"], unique=False)
    op.add_column("erasure", sa.Column("mentions", TEXT, server_default=sa.text("'[]'"), nullable=False))
    op.add_column("identity", sa.Column("erased_us", sa.BigInteger(), nullable=True))
    op.add_column("identity", sa.Column("wiped_us", sa.BigInteger(), nullable=True))
    op.add_column("identity", sa.Column("has_ghosts", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("identity_set", sa.Column("has_ghosts", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("installation", sa.Column("erasure_key", TEXT, nullable=True))
