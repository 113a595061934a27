"""`waypost check --all` against a running service: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path

from services.shared.db import Database, sqlite_url
from tests.parts.installation import ask, embedded, requests_of, send_all, small_year
from tests.parts.processes import WAYPOST, Process, clean_environment


def check(process: Process, *options: str) -> subprocess.CompletedProcess[str]:
    command = [WAYPOST, "check", "--url", process.url, *options]
    environment = {**clean_environment(), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_differences_are_printed_as_person_what_expected_and_found(tmp_path: Path) -> None:
    with embedded(tmp_path) as installation:
        up = installation.metrics[0]
        token = send_all(installation.ingests, requests_of(small_year(300), 100))
        ask(up, "/v1/kpis", after=token)
        right = check(up, "--all")
        assert (right.returncode, right.stderr) == (0, ""), right.stdout
        assert "journey:" in right.stdout
        assert "metrics:" in right.stdout
        with closing(Database(sqlite_url(tmp_path / "data" / "journey.db"))) as journey, journey.transaction() as tx:
            journey.execute(
                tx, "UPDATE person SET touchpoints = touchpoints + 1 WHERE touchpoints = (SELECT max(touchpoints) FROM person)"
            )
        with closing(Database(sqlite_url(tmp_path / "data" / "metrics.db"))) as metrics, metrics.transaction() as tx:
            row = metrics.execute(tx, "SELECT effective, partition FROM rollup WHERE cube = 'touchpoints[type]' AND grain = 'm'")[
                0
            ]
            metrics.execute(
                tx,
                "UPDATE rollup SET v0 = v0 + 7 WHERE cube = 'touchpoints[type]' AND grain = 'm' "
                "AND effective = :effective AND partition = :partition",
                dict(row._mapping),
            )
        wrong = check(up, "--all")
        assert wrong.returncode == 1
        assert "touchpoints of touchpoints[type]" in " ".join(wrong.stdout.split())
        told = check(up, "--all", "--json")
        assert told.returncode == 1
        lines = [json.loads(line) for line in told.stdout.splitlines()]
        differences = [line for line in lines if "what" in line]
        people = [line for line in differences if line["room"] == "journey"]
        assert people
        assert all(
            line["what"] == "touchpoints" and line["found"] == line["expected"] + 1 and line["person_id"] for line in people
        )
        sums = [line for line in differences if line["room"] == "metrics"]
        assert sums
        assert all(line["found"] == line["expected"] + 7 for line in sums)
        assert [line["mismatches"] for line in lines if "mismatches" in line] == [len(people), len(sums)]
