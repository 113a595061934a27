"""A fact as it is stored: JSON, as it was published."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.facts import Fact
from services.metrics.domain.measures import effect_times
from services.shared.errors import Rejected

FACT_TYPES = {"partition": "integer", "person_id": "text", "month": "text", "key": "text"}
"""The key of a fact's row, for key tables."""
FACT_COLUMNS = (*FACT_TYPES, "kind", "at_us", "until_us", "body")
EFFECT_COLUMNS = ("kind", "at_us", *FACT_TYPES)
SEVERAL_DAYS = (
    "order",
    "case",
    "survey",
    "path",
    "helped",
    "bad",
    "slow",
    "reached",
    "goal",
    "introduced",
    "exposure",
    "recommended",
)
"""Kinds whose effects may lie on several days; all others take effect within one day."""
_FACT: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)


def fact_of(body: str | bytes | msgspec.Raw) -> Fact:
    """A stored or published fact. Raises Rejected("not_a_fact")."""
    try:
        return _FACT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_a_fact", f"a fact of another version of Waypost, or none: {error}") from error


def kind_of(fact: Fact) -> str:
    """The tag of a fact: day, step, …"""
    return str(type(fact).__struct_config__.tag)


class FactRow(NamedTuple):
    """What a fact's row says beside its key, and the (kind, time) of its rows in `effect`."""

    kind: str
    at_us: int
    until_us: int
    body: str
    earlier: tuple[tuple[str, int], ...]


def row_of(body: str) -> FactRow:
    """The rows of a published fact. Raises Rejected("not_a_fact")."""
    fact = fact_of(body)
    *earlier, until_us = effect_times(fact)
    kind = kind_of(fact)
    listed = tuple((kind, at_us) for at_us in earlier) if kind in SEVERAL_DAYS else ()
    return FactRow(kind, fact.at_us, until_us, body, listed)
