"""Which settings the tables were made with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.add_column("installation", sa.Column("made_by", TEXT, nullable=True))
