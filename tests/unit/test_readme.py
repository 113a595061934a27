"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

from services.shared import config

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_readme_lists_the_settings_there_are() -> None:
    listed = re.search(r"<!-- settings: .* -->\n(.*)\n<!-- end of settings -->", README, re.S)
    assert listed is not None
    assert listed[1] == config.table(), "run `python -m services.shared.config` and paste what it prints"


def test_the_files_that_pages_point_to_are_there() -> None:
    for page in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / page).read_text()
        links = re.findall(r"\]\((?!http)([^)#]+)", text)
        paths = re.findall(r"`((?:services|tests|schemas|deploy|docs)/[\w./-]+)`", text)
        missing = [path for path in (*links, *paths) if not (ROOT / path).exists()]
        assert missing == [], page
