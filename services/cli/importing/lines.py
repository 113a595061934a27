"""A file as numbered lines of NDJSON, or as numbered rows of cells; plain or gzip, never more than a line in memory."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from services.cli.importing.maps import Map
from services.shared.errors import Misconfigured

Row = tuple[int, dict[str, str] | str]
"""Line number, and the cells by column; or, instead of the cells, what is wrong with the line."""


class Input:
    """An open file that knows how much of it has been read; what it holds may be packed, `position` counts bytes on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._raw = path.open("rb")
        self.size = path.stat().st_size
        packed = self._raw.peek(2)[:2] == b"\x1f\x8b"
        self.bytes: BinaryIO = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if packed else self._raw
        self._text: io.TextIOWrapper | None = None

    def text(self, encoding: str) -> io.TextIOWrapper:
        """The rest of the file as text; closed with it."""
        self._text = io.TextIOWrapper(self.bytes, encoding, "replace", newline="")
        return self._text

    @property
    def position(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        for stream in (self._text, self.bytes, self._raw):
            if stream is not None:
                stream.close()


@contextmanager
def opened(path: Path) -> Iterator[Input]:
    """The file, open. Raises Misconfigured, in a sentence, for one that isn't there, can't be read or is damaged."""
    try:
        source = Input(path)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
    try:
        yield source
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Misconfigured(
            f"{path} is a damaged gzip file ({error}); get it again and repeat the import, nothing counts twice"
        ) from None
    finally:
        source.close()


def json_lines(source: Input) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line that is not blank."""
    for number, line in enumerate(source.bytes, 1):
        if stripped := line.strip():
            yield number, stripped


def rows(source: Input, found: Map) -> Iterator[Row]:
    """Every row as cells by column. Raises Misconfigured if a column that the map uses is not there."""
    text = source.text("utf-8-sig" if found.encoding == "utf-8" else found.encoding)
    cells = _split(text) if found.delimiter == "whitespace" else _separated(text, found.delimiter)
    columns = found.columns
    for number, row in cells:
        if not columns:
            columns = [cell.strip() for cell in row]
            _check_columns(columns, found, source.path)
        elif len(row) == len(columns):
            yield number, dict(zip(columns, row, strict=True))
        else:
            yield number, f"the line has {len(row)} cells where {len(columns)} are wanted"


def _split(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text, 1):
        if cells := line.split():
            yield number, cells


def _separated(text: io.TextIOWrapper, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, delimiter="\t" if delimiter == "tab" else delimiter)
    for cells in reader:
        if cells:
            yield reader.line_num, cells


def _check_columns(columns: list[str], found: Map, path: Path) -> None:
    missing = sorted(found.columns_used() - set(columns))
    if missing:
        raise Misconfigured(f"{path} has no column {', '.join(missing)}; its first line names {', '.join(columns)}")
