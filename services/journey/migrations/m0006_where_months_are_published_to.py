"""Where months are published to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes."""


def upgrade() -> None:
    op.add_column("installation", sa.Column("journeys_id", TEXT, nullable=True))
    op.add_column("installation", sa.Column("journeys_begin", sa.BigInteger(), nullable=True))
