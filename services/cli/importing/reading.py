"""Lines of a file → touchpoints ready to be posted, each with an id that is the same whenever the file is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from schemas.touchpoint import MAX_TOUCHPOINT_BYTES
from services.cli.importing.lines import Input, json_lines, rows
from services.cli.importing.maps import Cell, Constant, Map, Meaning
from services.shared.errors import Rejected


class Ready(NamedTuple):
    """One touchpoint as JSON, and the line it stood on."""

    line: int
    body: bytes


class Refused(NamedTuple):
    """A line that is no touchpoint, and why."""

    line: int
    code: str
    message: str


class Ids:
    """A row's id: a hash of the row and of how often it has come before in this file."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def of(self, row: bytes) -> str:
        digest = blake2b(row, digest_size=16).digest()
        self._seen[digest] += 1
        return blake2b(digest + self._seen[digest].to_bytes(8), digest_size=16).hexdigest()


def touchpoints(source: Input, found: Map | None) -> Iterator[Ready | Refused]:
    """Every line of the file, in its order; without a map it is NDJSON."""
    return _from_json(source) if found is None else _from_rows(source, found)


def _from_json(source: Input) -> Iterator[Ready | Refused]:
    ids = Ids()
    for number, line in json_lines(source):
        try:
            item = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield Refused(number, "invalid_json", str(error))
            continue
        yield _checked(number, _named(line, item, ids))


def _named(line: bytes, item: Any, ids: Ids) -> bytes:
    """The line as it stands, with an id in front if it has none."""
    if not isinstance(item, dict) or not item or item.get("id") is not None:
        return line
    row_id = ids.of(line)
    if "id" in item:
        return msgspec.json.encode({**item, "id": row_id})
    return b'{"id":"%s",%s' % (row_id.encode(), line[1:])


def _from_rows(source: Input, found: Map) -> Iterator[Ready | Refused]:
    ids = Ids()
    for number, cells in rows(source, found):
        if isinstance(cells, str):
            yield Refused(number, "invalid_row", cells)
            continue
        row_id = cells[found.id] if found.id else ids.of("\x1f".join(cells.values()).encode("utf-8", "surrogatepass"))
        for id, meaning in _meanings(found, cells, row_id):
            try:
                yield _checked(number, msgspec.json.encode(mapped(found, meaning, cells, id)))
            except Rejected as error:
                yield Refused(number, error.code, error.message)


def _checked(number: int, body: bytes) -> Ready | Refused:
    if len(body) > MAX_TOUCHPOINT_BYTES:
        return Refused(number, "touchpoint_too_large", f"{len(body):,} bytes, and a touchpoint may have {MAX_TOUCHPOINT_BYTES:,}")
    return Ready(number, body)


def mapped(found: Map, meaning: Meaning | None, cells: dict[str, str], row_id: str) -> dict[str, Any]:
    """A touchpoint of one row. Raises Rejected, naming the column, for a cell that is not what the map says it is."""
    touchpoint: dict[str, Any] = {"id": row_id}
    constants: dict[str, Constant] = {
        **found.constants,
        **({} if meaning is None else {"type": meaning.type, **meaning.constants}),
    }
    fields = found.fields if meaning is None else {**found.fields, **meaning.fields}
    for path, constant in constants.items():
        _put(touchpoint, path, constant)
    for path, cell in fields.items():
        if meaning is not None and path in meaning.constants and path not in meaning.fields:
            continue
        value = _value(Cell(column=cell) if isinstance(cell, str) else cell, cells, row_id, found.empty)
        if value is not None:
            _put(touchpoint, path, value)
    return touchpoint


def _meanings(found: Map, cells: dict[str, str], row_id: str) -> Iterator[tuple[str, Meaning | None]]:
    """The touchpoints of a row, each with its id: one, or those of [[touchpoints]] that it has."""
    if not found.touchpoints:
        yield row_id, _meaning(found, cells)
    for number, part in enumerate(found.touchpoints, 1):
        has_all = all(cells[name].strip() not in found.empty for name in part.needs)
        if has_all and not any(cells[name].strip() == value for name, value in part.unless.items()):
            yield f"{row_id}/{number}", part


def _meaning(found: Map, cells: dict[str, str]) -> Meaning | None:
    if found.types is None:
        return None
    value = cells[found.types.column].strip()
    meaning = found.types.values.get(value, value)
    return Meaning(type=meaning) if isinstance(meaning, str) else meaning


def _put(touchpoint: dict[str, Any], path: str, value: Constant) -> None:
    outer, _, inner = path.partition(".")
    if inner:
        touchpoint.setdefault(outer, {})[inner] = value
    else:
        touchpoint[outer] = value


def _value(cell: Cell, cells: dict[str, str], row_id: str, empty: list[str]) -> Constant | None:
    text = cells[cell.column].strip() if cell.column is not None else cell.constant or row_id
    if text in empty or (cell.when is not None and cells[cell.when].strip() in empty):
        return None
    if text in cell.values:
        return cell.values[text]
    if cell.format is not None or cell.time_zone is not None:
        return _time(text, cell)
    if cell.decimals is not None:
        return _decimal(text, cell)
    return cell.prefix + text


def _time(text: str, cell: Cell) -> str:
    try:
        moment = datetime.strptime(text, cell.format) if cell.format else datetime.fromisoformat(text)
    except ValueError:
        wanted = f"the form {cell.format}" if cell.format else "ISO 8601"
        raise Rejected("invalid_time", f"column {cell.column}: {text!r} is not a time in {wanted}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(cell.time_zone))
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _decimal(text: str, cell: Cell) -> str:
    try:
        number = Decimal(text)
        exact = number.quantize(Decimal(1).scaleb(-(cell.decimals or 0)))
    except InvalidOperation:
        raise Rejected("invalid_number", f"column {cell.column}: {text!r} is not a number") from None
    if exact != number:
        raise Rejected("invalid_number", f"column {cell.column}: {text!r} has more than {cell.decimals} decimals")
    return str(exact)


@lru_cache(maxsize=64)
def _zone(name: str | None) -> ZoneInfo:
    return ZoneInfo(name or "UTC")
