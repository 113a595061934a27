"""A fact as it is stored: JSON, as it was published."""

from __future__ import annotations

import msgspec

from schemas.facts import Fact
from services.shared.errors import Rejected

SEVERAL_DAYS = ("order", "case", "survey", "path", "helped", "bad", "slow", "reached")
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
