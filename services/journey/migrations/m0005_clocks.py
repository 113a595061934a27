"""Clocks, and which touchpoints are told by their source's own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.create_table(
        "clock_day",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("least_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "device_id", "day"),
        sqlite_with_rowid=False,
    )
    op.add_column("touchpoint", sa.Column("without_device", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        "UPDATE touchpoint SET without_device = true WHERE NOT EXISTS ("
        "SELECT 1 FROM membership m JOIN identity i ON i.id = m.identity_id WHERE m.set_id = touchpoint.set_id "
        "AND (i.name LIKE 'device_id:%' OR i.name LIKE 'anonymous_id:%'))"
    )
    op.create_index(
        "touchpoint_without_device",
        "touchpoint",
        ["source", "received_us"],
        unique=False,
        sqlite_where=sa.text("without_device"),
        postgresql_where=sa.text("without_device"),
    )
