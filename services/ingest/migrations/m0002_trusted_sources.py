"""Trusted sources."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    op.add_column("source", sa.Column("is_trusted", sa.Boolean(), server_default=sa.false(), nullable=False))
