"""The README's first touchpoint, typed as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.parts.server import Server, free_port

README = (Path(__file__).parents[2] / "README.md").read_text()
PRINTED = "http://127.0.0.1:8000"


def shell(script: str, data: Path, url: str) -> list[str]:
    """Run a block of the README against a service elsewhere; what each curl answered."""
    script = (
        script.replace("waypost-data", str(data)).replace(PRINTED, url).replace("curl ", "curl -sS --fail-with-body -w '\\n' ")
    )
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_first_touchpoint_finds_its_person_and_the_stage_table(tmp_path: Path) -> None:
    start, post, ask = re.findall(r"```sh\n(.*?)```", README, re.S)
    assert start.split() == [".venv/bin/waypost", "up"]
    port, data = free_port(), tmp_path / "data"
    up = [sys.executable, "-m", "services", "up", "--port", str(port), "--data", str(data)]
    service = Server(up, f"listens on http://127.0.0.1:{port}", tmp_path / "log")
    service.start()
    try:
        receipts = [json.loads(line) for line in shell(post, data, f"http://127.0.0.1:{port}")]
        assert [receipt["accepted"] for receipt in receipts] == [1, 2]
        after = ",".join(receipt["token"] for receipt in receipts)
        waiting = ask.replace("curl ", f"curl -H 'X-Waypost-After: {after}' ")
        person, touchpoints, stages, *revenue = shell(waiting, data, f"http://127.0.0.1:{port}")
    finally:
        service.stop()
    found = json.loads(person)
    assert {"customer_id:c-42", "anonymous_id:7f3a"} <= set(found["identities"])
    assert found["touchpoints"] == 3
    assert [journey["furthest_stage"] for journey in found["journeys"]] == ["purchase"]
    assert len(json.loads(touchpoints)["touchpoints"]) == 3
    assert {row["stage"]: row["reached"] for row in json.loads(stages)["stages"]}["purchase"] == 1
    assert any("19.99" in line and "EUR" in line for line in revenue)
