"""Drafts a migration from what a room's tables.py says and its migrations do not: `make migration ROOM=journey NAME="clock offsets"`."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations.ops import UpgradeOps
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData

from services.ingest import migrations as ingest
from services.ingest.store.tables import METADATA as INGEST
from services.journey import migrations as journey
from services.journey.store.tables import METADATA as JOURNEY
from services.metrics import migrations as metrics
from services.metrics.store.tables import METADATA as METRICS
from services.shared.db import Database, sqlite_url
from services.shared.migrating import History, migrate

ROOMS: dict[str, tuple[History, MetaData]] = {
    "ingest": (ingest.HISTORY, INGEST),
    "journey": (journey.HISTORY, JOURNEY),
    "metrics": (metrics.HISTORY, METRICS),
}
_TYPES = {
    "TEXT": ("sa.Text().with_variant(sa.Text(collation='C'), 'postgresql')", "text that is compared by its bytes"),
    "SERIAL": ("sa.BigInteger().with_variant(sa.Integer(), 'sqlite')", "a number that the database gives"),
}
"""What stands often in journey's tables, under a short name."""


def differences(database: Database, metadata: MetaData) -> UpgradeOps:
    """What would have to be done to a database to make it as the metadata says."""
    with database.preparing() as tx:
        # SQLite keeps nothing of an Identity, and that would be taken for a change of the default
        context = MigrationContext.configure(tx, opts={"compare_type": True, "compare_server_default": database.is_postgres})
        found = produce_migrations(context, metadata).upgrade_ops
    assert found is not None
    return found


def draft(room: str, name: str) -> Path | None:
    """Write the next migration; None if nothing differs."""
    history, metadata = ROOMS[room]
    with tempfile.TemporaryDirectory() as folder, closing(Database(sqlite_url(Path(folder) / "scratch.db"))) as database:
        migrate(database, history)
        found = differences(database, metadata)
    if found.is_empty():
        return None
    before = history.revisions()[-1]
    revision = f"{int(before) + 1:04d}"
    file = history.folder / f"m{revision}_{re.sub(r'[^a-z0-9]+', '_', name.lower())}.py"
    file.write_text(module(name, revision, before, found))
    return file


def module(name: str, revision: str, before: str | None, steps: UpgradeOps) -> str:
    """The text of a migration."""
    body = re.sub(r"^ *# .*\n?", "", render_python_code(steps), flags=re.MULTILINE).rstrip()
    short = []
    for word, (written, meaning) in _TYPES.items():
        if written in body:
            body = body.replace(written, word)
            short.append(f'{word} = {written}\n"""{meaning[0].upper()}{meaning[1:]}."""')
    parts = [
        f'"""{name[0].upper()}{name[1:]}."""\n',
        "from __future__ import annotations\n",
        "import sqlalchemy as sa\nfrom alembic import op\n",
        f"revision = {revision!r}\ndown_revision: str | None = {before!r}",
        *short,
        f"\n\ndef upgrade() -> None:\n{body}\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    written = draft(*sys.argv[1:])
    print(f"wrote {written}; read it, then run `ruff format` on it" if written else "nothing differs")
