"""The place of a stored touchpoint in the total order, as pages go on from it. `p` is the touchpoint in statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """`anchor` tells copies of one touchpoint apart."""

    time_us: int
    original_us: int
    case_rank: int
    source: str
    id: str
    anchor: int


_NAMES = ("time_us", "original_us", "case_rank", "source", "id", "anchor_id")
_GIVEN = "(:time_us, :original_us, :case_rank, CAST(:source AS text), CAST(:id AS text), :anchor_id)"
COLUMNS = ", ".join(f"p.{name}" for name in _NAMES)
NEWEST_FIRST = ", ".join(f"p.{name} DESC" for name in _NAMES)
BEFORE = f"p.time_us <= :time_us AND ({COLUMNS}) < {_GIVEN}"
AFTER = f"p.time_us >= :time_us AND ({COLUMNS}) > {_GIVEN}"


def given(place: Place | None) -> Mapping[str, object]:
    """The parameters of a place."""
    return dict(zip(_NAMES, place, strict=True)) if place is not None else {}
