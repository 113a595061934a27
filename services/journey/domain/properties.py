"""Facets that the vocabulary takes from a touchpoint's properties: leniently, because senders wrote them for somebody else.

A number where text belongs becomes text, text where a number belongs a number, money is rounded to six decimals. What does
not fit then is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Raw, Struct

from schemas.touchpoint import Order, OrderItem
from schemas.vocabulary import FACETS, FacetRule

MICROS = 1_000_000
MAX_AMOUNT = Decimal(10**9)
_MONEY = frozenset({"amount", "refund_amount", "price", "quantity"})
_NUMBERS = frozenset(
    {"score", "scale_min", "scale_max", "rating", "rating_max"}
    | {"wait_seconds", "handle_seconds", "talk_seconds", "hold_seconds", "wrap_seconds"}
)
_WORDS = frozenset({"kind", "by", "action", "easy"})


class Misfit(ValueError):
    """A property that cannot be what the facet wants; it is left out and counted."""


def micros(value: str | int | float) -> int:
    """Whole micro-units of an amount; a JSON number is taken by its shortest decimal form. What is finer is rounded half to even."""
    return int((Decimal(str(value)) * MICROS).to_integral_value())


def facet_of(properties: Raw, rule: FacetRule) -> tuple[Struct | None, int]:
    """The facet that the properties fill by the rule (None if they do not), and how many properties were left out.

    A facet that lacks a required field is left out whole, with everything found for it.
    """
    given = msgspec.json.decode(properties)
    if not isinstance(given, dict) or not given:
        return None, 0
    found, left_out = _taken(given, rule.take, FACETS[rule.fills])
    if "items" in found:
        found["items"], dropped = _items(found["items"], rule.each)
        left_out += dropped
    if not found:
        return None, left_out
    try:
        return msgspec.convert({**rule.default, **found}, FACETS[rule.fills]), left_out
    except msgspec.ValidationError:
        return None, left_out + len(found)


def _taken(given: Mapping[str, Any], take: Mapping[str, Iterable[str]], facet: type[Struct]) -> tuple[dict[str, Any], int]:
    """Per field, the first property that is there and fits; and how many were there and did not."""
    found: dict[str, Any] = {}
    left_out = 0
    for field, names in take.items():
        for name in names:
            value = given.get(name)
            if value is None or value == "":
                continue
            try:
                found[field] = _fitted(field, value, facet)
                break
            except (Misfit, msgspec.ValidationError):
                left_out += 1
    return found, left_out


def _items(lines: list[Any], each: Mapping[str, Iterable[str]]) -> tuple[list[OrderItem], int]:
    items = []
    left_out = 0
    for line in lines:
        found, dropped = _taken(line, each, OrderItem) if isinstance(line, dict) else ({}, 0)
        left_out += dropped
        if "product_id" in found:
            items.append(OrderItem(**found))
        else:
            left_out += 1
    return items, left_out


def _fitted(field: str, value: Any, facet: type[Struct]) -> Any:
    if facet is Order and field == "items":
        if not isinstance(value, list):
            raise Misfit
        return value
    return msgspec.convert(_READ.get(field, _text)(value), _TYPES[facet][field])


def _text(value: Any) -> Any:
    """Numbers as text; other things as they are, for the field's own type to judge."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Misfit
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise Misfit from None
    if not number.is_finite():
        raise Misfit
    return number


def _money(value: Any) -> str:
    amount = _decimal(value)
    if not 0 <= amount <= MAX_AMOUNT:
        raise Misfit
    return f"{amount.quantize(Decimal('0.000001')):f}".rstrip("0").rstrip(".")


def _number(value: Any) -> int | float:
    number = _decimal(value)
    return int(number) if number == number.to_integral_value() and abs(number) <= MAX_AMOUNT else float(number)


def _flag(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def _currency(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _word(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


_READ: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_MONEY, _money),
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(_WORDS, _word),
    "currency": _currency,
    "control": _flag,
}
_FILLED: list[type[Struct]] = [*FACETS.values(), OrderItem]
_TYPES: dict[type[Struct], dict[str, Any]] = {
    facet: {field.name: field.type for field in msgspec.structs.fields(facet)} for facet in _FILLED
}
