"""The service of the demonstration: `waypost up` as a process of its own, in a fresh folder, on a free port."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.shared.config import PREFIX
from services.shared.errors import Unavailable

STOP_S = 40


@dataclass(frozen=True)
class Child:
    """`keys`: a write key for each source."""

    url: str
    keys: dict[str, str]
    process: subprocess.Popen[str]


@contextmanager
def serving(folder: Path, sources: Iterable[str], port: int = 0) -> Iterator[Child]:
    """A fresh service in `folder`; stopped at the end. Raises Unavailable, with what it said, if it does not start."""
    keys = {source: f"c{secrets.token_hex(16)}" for source in sources}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "up", "--data", str(folder / "data"), "--port", str(port)],
            env=_environment(keys),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demonstration, which then stops this in order
        )
    with process:
        try:
            yield Child(_address(process, folder / "log"), keys, process)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment(keys: dict[str, str]) -> dict[str, str]:
    """Nothing that is set for another installation may change what the demonstration shows."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return {**kept, f"{PREFIX}WRITE_KEYS": ",".join(f"{source}={key}" for source, key in keys.items())}


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        words = line.split()
        if words and words[-1].startswith("http://"):
            return words[-1]
    raise Unavailable(f"the service did not start: {log.read_text().strip()[-2000:]}")
