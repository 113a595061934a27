"""What msgspec says about a touchpoint → a code, a JSON pointer and a sentence that says what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cache

import msgspec
from msgspec import inspect

from schemas.pointers import escape
from schemas.touchpoint import Touchpoint
from services.shared.errors import Rejected

_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_RULES: tuple[tuple[str, str], ...] = (
    (r"Object contains unknown field", "unknown_field"),
    (r"Object missing required field", "missing_field"),
    (r"Invalid enum value", "invalid_choice"),
    (r"Number out of range", "number_not_finite"),
    (r"Expected `\w+` of length >=", "too_short"),
    (r"Expected `\w+` of length <=", "too_long"),
    (r"Expected `\w+` matching regex", "invalid_format"),
    (r"Expected `\w+` [<>]", "out_of_range"),
    (r"Expected", "wrong_type"),
)
_FORMATS = {
    "channel": "a channel is a lower-case name of at most 40 letters, digits and underscores, such as web or push_message",
    "kind": "a kind is a lower-case name of at most 40 letters, digits and underscores, such as nps",
    "currency": "a currency is three capital letters (ISO 4217), such as EUR",
    "referred_by": "write it as namespace:value, such as customer_id:c-7",
}
_DECIMAL = 'write it as a number, or as text with at most ten digits before and six after the point, such as "19.99"'


def explain(error: msgspec.ValidationError, item: object) -> Rejected:
    """What a ValidationError means. `item` is the same touchpoint as plain Python values."""
    found = _PATH.match(str(error))
    what, path = (found["what"], found["path"] or "") if found else (str(error), "")
    code = next((code for rule, code in _RULES if re.match(rule, what)), "invalid")
    steps = _steps(path, item)
    kind = _type_at(steps)
    if code in ("unknown_field", "missing_field"):
        name = what.split("`")[1]
        return Rejected(code, _about_field(code, name, kind), _pointer([*steps, name]))
    return Rejected(code, _sentence(code, what, steps, kind), _pointer(steps))


def _steps(path: str, item: object) -> list[str]:
    """The keys and indexes of msgspec's path. It does not name the key of a free object: that is the first that does not fit."""
    steps: list[str] = []
    for name, index in _STEP.findall(path):
        step = name or index
        if step == "..." and isinstance(item, Mapping):
            step = next((key for key, value in item.items() if isinstance(value, bool | list | dict)), next(iter(item), ""))
        steps.append(step)
        item = _inside(item, step)
    return steps


def _inside(item: object, step: str) -> object:
    if isinstance(item, Mapping):
        return item.get(step)
    if isinstance(item, list) and step.isdigit() and int(step) < len(item):
        return item[int(step)]
    return None


def _pointer(steps: list[str]) -> str:
    return "".join(f"/{escape(step)}" for step in steps)


@cache
def _contract() -> inspect.Type:
    return inspect.type_info(Touchpoint)


def _type_at(steps: list[str]) -> inspect.Type | None:
    """The contract's type at a path, None where it has none (inside properties)."""
    kind: inspect.Type | None = _contract()
    for step in steps:
        match _plain(kind):
            case inspect.StructType(fields=fields):
                kind = next((field.type for field in fields if field.encode_name == step), None)
            case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
                kind = inner
            case _:
                return None
    return _plain(kind)


def _plain(kind: inspect.Type | None) -> inspect.Type | None:
    """A type without its `| None`, where one other is left."""
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return others[0] if len(others) == 1 else kind
    return kind


def _about_field(code: str, name: str, kind: inspect.Type | None) -> str:
    if code == "missing_field":
        return f"the field {name!r} is needed here"
    known = [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "free data belongs in properties"
    return f"there is no field {name!r} here; {hint}"


def _sentence(code: str, what: str, steps: list[str], kind: inspect.Type | None) -> str:
    match code, kind:
        case "invalid_choice", inspect.LiteralType(values=values):
            return f"it must be one of {', '.join(sorted(map(str, values)))}"
        case "invalid_format", _:
            return _FORMATS.get(steps[-1], _DECIMAL)
        case "number_not_finite", _:
            return "numbers must be finite: no NaN, no Infinity, nothing beyond 1.8e308"
    return what[:1].lower() + what[1:].replace("`", "")
