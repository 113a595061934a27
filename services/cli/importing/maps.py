"""The map language: reading and checking a map file. The package's docstring describes it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct, field

from schemas.touchpoint import Touchpoint
from services.shared.errors import Misconfigured

Constant = str | int | float | bool


class Cell(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a field's value comes from: a column, the row's id or always the same, and what is done to it; nothing where the
    column `when` is empty."""

    column: str | None = None
    row_id: bool = False
    constant: str | None = None
    when: str | None = None
    prefix: str = ""
    values: dict[str, Constant] = {}
    format: str | None = None
    time_zone: str | None = None
    decimals: int | None = None


class Meaning(Struct, frozen=True, forbid_unknown_fields=True):
    """What a value of the types column says: the type, and fields of its own."""

    type: str
    constants: dict[str, Constant] = {}
    fields: dict[str, str | Cell] = {}


class Part(Meaning, frozen=True, forbid_unknown_fields=True):
    """One of the touchpoints of a row. A row has none of it where a column of `needs` is empty, or one of `unless` has that value."""

    needs: list[str] = []
    unless: dict[str, str] = {}


class Types(Struct, frozen=True, forbid_unknown_fields=True):
    column: str
    values: dict[str, str | Meaning] = {}


class Map(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole map file."""

    delimiter: str = ","
    columns: list[str] = []
    encoding: str = "utf-8"
    empty: list[str] = field(default_factory=lambda: [""])
    id: str | None = None
    constants: dict[str, Constant] = {}
    fields: dict[str, str | Cell] = {}
    types: Types | None = None
    touchpoints: list[Part] = []

    def columns_used(self) -> set[str]:
        """Every column that the map speaks of."""
        cells = [cell for _, cell in _all_fields(self)]
        named = {name for cell in cells for name in ((cell,) if isinstance(cell, str) else (cell.column, cell.when))}
        asked = [name for part in self.touchpoints for name in (*part.needs, *part.unless)]
        return {name for name in (*named, *asked, self.id, self.types.column if self.types else None) if name is not None}


def load(path: Path) -> Map:
    """Read a map. Raises Misconfigured with a sentence that names the file and the culprit."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Map)
    except OSError as error:
        raise Misconfigured(f"the map {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise Misconfigured(f"the map {path} is not right: {error}") from None
    for problem in _problems(found):
        raise Misconfigured(f"the map {path} is not right: {problem}")
    return found


def _problems(found: Map) -> Iterator[str]:
    if found.delimiter not in ("tab", "whitespace") and len(found.delimiter) != 1:
        yield 'delimiter is one character, "tab" or "whitespace"'
    if found.types is not None and found.touchpoints:
        yield "give [types] or [[touchpoints]], not both"
    if found.types is None and not found.touchpoints and "type" not in {**found.constants, **found.fields}:
        yield "nothing gives the type: add [types] or [[touchpoints]], or type to [constants] or [fields]"
    try:
        "".encode(found.encoding)
    except LookupError:
        yield f"there is no encoding {found.encoding!r}"
    for path in (*_all_constants(found), *(path for path, _ in _all_fields(found))):
        if path.partition(".")[0] not in Touchpoint.__struct_fields__ or path.count(".") > 1:
            yield f"a touchpoint has no field {path!r}"
    for path, cell in _all_fields(found):
        if isinstance(cell, Cell):
            yield from _cell_problems(path, cell)


def _cell_problems(path: str, cell: Cell) -> Iterator[str]:
    if (cell.column is not None) + cell.row_id + (cell.constant is not None) != 1:
        yield f"{path!r} takes either a column or row_id = true or a constant"
    if cell.decimals is not None and not 0 <= cell.decimals <= 6:
        yield f"{path!r}: decimals are 0 to 6"
    if cell.time_zone is not None:
        try:
            ZoneInfo(cell.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            yield f"{path!r}: there is no time zone {cell.time_zone!r}"


def _meanings(found: Map) -> list[Meaning]:
    told = found.types.values.values() if found.types else ()
    return [*(meaning for meaning in told if isinstance(meaning, Meaning)), *found.touchpoints]


def _all_constants(found: Map) -> list[str]:
    return [*found.constants, *(path for meaning in _meanings(found) for path in meaning.constants)]


def _all_fields(found: Map) -> Iterable[tuple[str, Any]]:
    return [*found.fields.items(), *(item for meaning in _meanings(found) for item in meaning.fields.items())]
