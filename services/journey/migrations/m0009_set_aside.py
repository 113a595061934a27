"""Who is set aside because a month is too large for the bus, and whom releases bring back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.create_table(
        "released",
        sa.Column("command_id", TEXT, nullable=False),
        sa.Column("identity_id", sa.BigInteger(), nullable=False),
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("command_id", "identity_id"),
    )
    op.create_index("released_identity", "released", ["identity_id"], unique=False)
    op.create_index("released_root", "released", ["root_id"], unique=False)
    op.create_table(
        "too_large",
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("root_id", "month"),
        sqlite_with_rowid=False,
    )
    op.add_column("person", sa.Column("too_large", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.drop_index("person_bots", table_name="person")
    op.create_index(
        "person_set_aside",
        "person",
        ["person_id"],
        unique=False,
        sqlite_where=sa.text("suspected_bot OR too_large"),
        postgresql_where=sa.text("suspected_bot OR too_large"),
    )
