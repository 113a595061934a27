"""Made the dumps beside it: what the code before there were migrations (commit bdf5442) keeps of a small generated year.

    git worktree add ../spine bdf5442      then, with this folder copied to tests/spine there:  python -m tests.spine.make

`sqlite/` is an installation with everything embedded, `postgres/` one with PostgreSQL and the embedded bus; `answers.json` is what it
answered. The dumps are never made anew: that they are old is what they are for.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from services.cli.simulate.year import generate
from tests.parts.installation import KEYS, UNTIL_US, requests_of, send_all
from tests.parts.postgres import Postgres
from tests.parts.processes import Process

HERE = Path(__file__).parent
RANGE = {"from": "2023-01-01", "to": "2026-01-01", "as_of": "2025-06-01T00:00:00Z"}


def make(name: str, database: str) -> Any:
    """Run an installation, keep what it holds; what it answered."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        settings = {
            "WAYPOST_WRITE_KEYS": ",".join(f"{source}={key}" for source, key in KEYS.items()),
            "WAYPOST_PARTITIONS": "2",
            "WAYPOST_DATABASE": database,
        }
        process = Process("up", ["up", "--data", str(data)], settings, Path(folder))
        process.start()
        token = send_all([process], requests_of(generate(4, 60, 5, UNTIL_US), 50))
        with closing(process.service()) as service:
            answers = {
                "stages": service.get("/v1/stages", RANGE, token)["stages"],
                "revenue": service.get("/v1/kpis/gross_revenue", {**RANGE, "grain": "none"}, token)["rows"],
                "journeys": len(service.get("/v1/journeys", {"limit": 1000}, token)["journeys"]),
            }
        process.stop()
        target = HERE / name
        target.mkdir(exist_ok=True)
        for file in sorted(data.glob("*.db")):
            with closing(sqlite3.connect(file)) as connection:
                (target / f"{file.stem}.sql").write_text("\n".join(connection.iterdump()) + "\n")
    return answers


def main() -> None:
    answers = make("sqlite", "embedded")
    server = Postgres()
    server.start()
    with closing(server):
        url = server.new_database()
        same = make("postgres", url)
        plain = make_url(url).set(drivername="postgresql").render_as_string(False)
        dump = ["pg_dump", "--rows-per-insert=100", "--no-owner", "--no-privileges", plain]
        text = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
        kept = [line for line in text.splitlines() if line and not line.startswith(("--", "\\"))]
        (HERE / "postgres" / "database.sql").write_text("\n".join(kept) + "\n")
    assert answers == same
    (HERE / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
