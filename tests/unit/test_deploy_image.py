"""The Dockerfile, as far as it can be judged without an engine: its files, its commands, its user, and the wheel that it installs."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from contextlib import closing
from importlib import metadata
from pathlib import Path

import pytest

from tests.parts import compose
from tests.parts.needed import lacking
from tests.parts.processes import Process

ROOT = compose.ROOT
Instruction = tuple[str, str]


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, rest in lines]


@pytest.fixture(scope="module")
def context(instructions: list[Instruction], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with just what the first stage copies, as it lies in the work tree."""
    folder = tmp_path_factory.mktemp("context")
    for name in _copied(instructions):
        subprocess.run(["cp", "-r", str(ROOT / name), str(folder / name)], check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install .` makes of it, with the setuptools of the lock file."""
    if int(metadata.version("setuptools").partition(".")[0]) < 77:
        lacking("a wheel needs setuptools 77, which `make setup` brings")
    folder = tmp_path_factory.mktemp("wheel")
    make = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    done = subprocess.run(make, cwd=context, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return file


def _copied(instructions: list[Instruction]) -> list[str]:
    """What comes from the work tree."""
    copies = [shlex.split(rest) for word, rest in instructions if word == "COPY" and not rest.startswith("--from")]
    return [Path(name).name for copy in copies for name in copy[:-1]]


def test_what_is_copied_is_there_and_not_ignored(instructions: list[Instruction]) -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert set(_copied(instructions)) == kept
    assert all((ROOT / name).exists() for name in kept)
    assert any(fnmatch.fnmatch("services/shared/__pycache__", line) for line in lines if not line.startswith("!"))


def test_it_runs_as_nobody_in_particular(instructions: list[Instruction]) -> None:
    stages = [place for place, (word, _) in enumerate(instructions) if word == "FROM"]
    users = [rest for word, rest in instructions[stages[-1] :] if word == "USER"]
    assert users == [compose.raw()["x-room"]["user"]]
    assert users[0].split(":")[0] != "0"


def test_both_stages_start_from_one_slim_python_of_the_version_that_we_need(instructions: list[Instruction]) -> None:
    bases = {rest.split()[0] for word, rest in instructions if word == "FROM"}
    assert bases == {"python:3.11-slim"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"


def test_packages_come_from_the_lock_file_with_hashes(instructions: list[Instruction]) -> None:
    runs = [json.loads(rest) for word, rest in instructions if word == "RUN"]
    installs = [run for run in runs if "install" in run]
    locked, own = installs
    assert "--require-hashes" in locked
    assert locked[-2:] == ["--requirement", "requirements.lock"]
    assert own[-2:] == ["--no-deps", "."]


def test_the_command_is_in_exec_form_and_exists(instructions: list[Instruction]) -> None:
    last = dict(instructions)
    (command,) = json.loads(last["ENTRYPOINT"])
    assert command in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    done = subprocess.run([Path(sys.executable).with_name(command), *json.loads(last["CMD"])], capture_output=True, check=False)
    assert done.returncode == 0


def test_the_health_check_is_the_one_of_compose(instructions: list[Instruction]) -> None:
    check = dict(instructions)["HEALTHCHECK"]
    declared = compose.raw()["x-room"]["healthcheck"]
    assert json.loads(check.partition(" CMD ")[2]) == declared["test"][1:]
    given = dict(re.findall(r"--([a-z-]+)=(\S+)", check))
    assert given == {name.replace("_", "-"): str(declared[name]) for name in ("interval", "timeout", "start_period", "retries")}


def test_the_wheel_holds_every_file_that_the_rooms_are_made_of(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "services", "schemas"], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as packed:
        assert wanted - set(packed.namelist()) == set()


def test_the_wheel_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    """From the wheel's files, not from the work tree."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    process = Process("up", ["up", "--data", str(tmp_path / "data")], {"PYTHONPATH": str(tmp_path / "site")}, tmp_path)
    try:
        process.start()
        with closing(process.service()) as service:
            assert service.is_ready()
    finally:
        process.kill9()
