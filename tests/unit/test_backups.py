"""The list of backups that were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.shared.backups import FILE, Backup, made, remember

FIRST, SECOND = Backup("1", "/first", "2026-01-01T00:00:00Z"), Backup("2", "/second", "2026-01-02T00:00:00Z")


def test_backups_are_listed_in_order(tmp_path: Path) -> None:
    assert made(tmp_path) == []
    remember(tmp_path, FIRST)
    remember(tmp_path, SECOND)
    assert made(tmp_path) == [FIRST, SECOND]


@pytest.mark.parametrize("left", [0, 1, 10, -1])
def test_a_line_that_was_cut_off_is_no_backup_and_harms_no_other(tmp_path: Path, left: int) -> None:
    remember(tmp_path, FIRST)
    size = (tmp_path / FILE).stat().st_size
    remember(tmp_path, SECOND)
    written = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(written[: size + left] if left >= 0 else written[:-2])
    remember(tmp_path, SECOND)
    assert made(tmp_path) == [FIRST, SECOND]
