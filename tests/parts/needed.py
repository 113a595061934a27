"""The one rule for parts that a machine may lack: locally the test is skipped with the reason, in CI it fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """End this test for want of a part."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def data_set(path: Path) -> pytest.MarkDecorator:
    """Marks tests that read a data set of ../shared; in CI they run, and fail, where it is missing."""
    is_to_run = path.exists() or os.environ.get("CI") == "true"
    return pytest.mark.skipif(not is_to_run, reason=f"the data set {path} is not on this machine")


def program(name: str, package: str) -> str:
    """The path of a program; ends the test if it is missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    return found or lacking(f"this needs {name} (Debian: {package}), and there is none")
