"""Reads questions from query parameters: what was asked for, or a sentence that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from schemas.facts import Unit
from schemas.times import format_time, parse_time_us
from services.metrics.answers import CohortQuestion, KpiQuestion
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.domain.kpis import Kpi
from services.metrics.domain.periods import GRAINS, Grain, parse_span
from services.metrics.domain.stages import Journeys
from services.shared.errors import Rejected
from services.shared.http import Problem

COHORT_DIMENSIONS = ("channel", "source", "campaign", "marketing_channel")
MAX_WAIT_S = 60.0
_FIRST_US = parse_time_us("1900-01-01T00:00:00Z")
_LAST_US = parse_time_us("9998-01-01T00:00:00Z")
_JOURNEYS: tuple[Journeys, ...] = ("new", "returning", "all")
_UNITS: tuple[Unit, ...] = ("journey", "person")
_COMMON = {"from", "to", "by", "as_of", "format"}


def kpi_of(kpi_id: str) -> Kpi:
    """Raises Problem 404 for an id that there isn't."""
    kpi = KPI_BY_ID.get(kpi_id)
    if kpi is None:
        raise Problem(404, "unknown_kpi", f"there is no KPI {kpi_id!r}; GET /v1/kpis lists them", {"kpis": list(KPI_BY_ID)})
    return kpi


def kpi_question(kpi: Kpi, params: Mapping[str, str], now_us: int) -> KpiQuestion:
    """`from`, `to`, `grain`, `by`, `as_of`, and dimensions as filters. Raises Rejected."""
    grain = _grain(kpi, params.get("grain", "none"))
    by = _by(params, kpi.dimensions)
    filters = {name: value for name, value in params.items() if name in kpi.dimensions}
    _nothing_else(params, _COMMON | {"grain", *filters}, f"filters are {', '.join(kpi.dimensions)}")
    span = parse_span(_needed(params, "from"), _needed(params, "to"), grain)
    return KpiQuestion(kpi, span, grain, by, filters, as_of_us(params, now_us))


def cohort_question(params: Mapping[str, str], now_us: int, *, units: bool) -> CohortQuestion:
    """`from`, `to`, `by`, `as_of`, `journeys`, and `unit` where there are `units`. Raises Rejected."""
    by = _by(params, COHORT_DIMENSIONS)
    if len(by) > 1:
        raise Rejected("unsupported_dimensions", f"break it down by one of {', '.join(COHORT_DIMENSIONS)} at a time", "/by")
    _nothing_else(params, _COMMON | {"journeys"} | ({"unit"} if units else set()), "see /docs")
    journeys: Journeys = _one_of(params, "journeys", _JOURNEYS)
    unit: Unit = _one_of(params, "unit", _UNITS)
    span = parse_span(_needed(params, "from"), _needed(params, "to"), "none")
    return CohortQuestion(span, by, journeys, unit, as_of_us(params, now_us))


def as_of_us(params: Mapping[str, str], now_us: int) -> int:
    """The instant `as_of`, now unless given."""
    if "as_of" not in params:
        return now_us
    us = parse_time_us(params["as_of"], "/as_of")
    if not _FIRST_US <= us < _LAST_US:
        raise Rejected("invalid_time", f"as_of lies between {format_time(_FIRST_US)} and {format_time(_LAST_US)}", "/as_of")
    return us


def wait_s(text: str | None) -> float:
    """The seconds of X-Waypost-Timeout, 10 unless given."""
    try:
        seconds = 10.0 if text is None else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_S:
        raise Rejected("invalid_timeout", f"X-Waypost-Timeout is a number of seconds from 0 to {MAX_WAIT_S:g}")
    return seconds


def _grain(kpi: Kpi, text: str) -> Grain:
    for grain in GRAINS:
        if grain == text and grain in kpi.grains:
            return grain
    raise Rejected("unknown_grain", f"{kpi.id} is kept by {', '.join(kpi.grains)}, not by {text!r}", "/grain")


def _by(params: Mapping[str, str], dimensions: tuple[str, ...]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(name.strip() for name in params.get("by", "").split(",") if name.strip()))
    for name in wanted:
        if name not in dimensions:
            raise Rejected("unknown_dimension", f"there is no dimension {name!r} here; there are {', '.join(dimensions)}", "/by")
    return wanted


Choice = TypeVar("Choice", bound=str)


def _one_of(params: Mapping[str, str], name: str, choices: Sequence[Choice]) -> Choice:
    """The first choice is the default."""
    if name not in params:
        return choices[0]
    for choice in choices:
        if choice == params[name]:
            return choice
    raise Rejected("unknown_value", f"{name} is one of {', '.join(choices)}", f"/{name}")


def _needed(params: Mapping[str, str], name: str) -> str:
    if name not in params:
        raise Rejected(
            "missing_parameter", f"give `{name}` as a day, such as {name}=2026-01-01; `to` is not included", f"/{name}"
        )
    return params[name]


def _nothing_else(params: Mapping[str, str], known: set[str], hint: str) -> None:
    for name in params:
        if name not in known:
            raise Rejected("unknown_parameter", f"there is no parameter {name!r}; {hint}", f"/{name}")
