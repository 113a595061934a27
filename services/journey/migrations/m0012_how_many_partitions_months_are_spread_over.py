"""How many partitions months are spread over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision: str | None = "0011"


def upgrade() -> None:
    op.add_column("installation", sa.Column("spread", sa.Integer(), nullable=True))
