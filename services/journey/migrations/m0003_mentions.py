"""Mentions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.create_table(
        "mention",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("anchor_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("source", "id", "anchor_id", "kind"),
    )
    op.create_index(
        "mention_anchor",
        "mention",
        ["anchor_id"],
        unique=False,
        sqlite_where=sa.text("kind = 'alias'"),
        postgresql_where=sa.text("kind = 'alias'"),
    )
    op.create_index("mention_name", "mention", ["name"], unique=False)
