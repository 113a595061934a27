"""Links."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.create_table(
        "standing",
        sa.Column("identity_id", sa.BigInteger(), nullable=False),
        sa.Column("set_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("identity_id", "set_id"),
        sqlite_with_rowid=False,
    )
    op.add_column("identity", sa.Column("stands_for", sa.BigInteger(), nullable=True))
    op.add_column("identity", sa.Column("is_parted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "identity_stands_for",
        "identity",
        ["stands_for"],
        unique=False,
        sqlite_where=sa.text("stands_for IS NOT NULL"),
        postgresql_where=sa.text("stands_for IS NOT NULL"),
    )
    op.add_column("identity_set", sa.Column("standing", TEXT, nullable=True))
    op.add_column("identity_set", sa.Column("parted", TEXT, nullable=True))
