"""Aliases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.create_table(
        "alias",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("anchor_id", sa.BigInteger(), nullable=False),
        sa.Column("claimed", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("source", "id", "anchor_id"),
    )
    op.create_index("alias_anchor", "alias", ["anchor_id"], unique=False)
    op.create_index("alias_claimed", "alias", ["claimed"], unique=False)
