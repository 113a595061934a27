"""Reads questions from query parameters: what was asked for, or a sentence that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from fastapi import Request

from schemas.facts import Unit
from schemas.times import format_time, parse_time_us
from services.metrics.answers import CohortQuestion, KpiQuestion
from services.metrics.domain.catalogue import KPI_BY_ID
from services.metrics.domain.kpis import Kpi
from services.metrics.domain.periods import GRAINS, Grain, parse_span
from services.metrics.domain.stages import Journeys
from services.metrics.evidence import EvidenceQuestion, From, question_of
from services.shared.errors import Rejected
from services.shared.http import Problem, limit, params, place_after

COHORT_DIMENSIONS = ("channel", "source", "campaign", "marketing_channel")
_FIRST_US = parse_time_us("1900-01-01T00:00:00Z")
_LAST_US = parse_time_us("9998-01-01T00:00:00Z")
_JOURNEYS: tuple[Journeys, ...] = ("new", "returning", "all")
_UNITS: tuple[Unit, ...] = ("journey", "person")
_COMMON = ("from", "to", "by", "as_of")


def kpi_of(kpi_id: str) -> Kpi:
    """Raises Problem 404 for an id that there isn't."""
    kpi = KPI_BY_ID.get(kpi_id)
    if kpi is None:
        raise Problem(404, "unknown_kpi", f"there is no KPI {kpi_id!r}; GET /v1/kpis lists them", {"kpis": list(KPI_BY_ID)})
    return kpi


class Retention(NamedTuple):
    """Who is active, where a question doesn't say: by which activity, and in the last so many days (0: as many as the period has)."""

    activity: str = "order"
    window_days: int = 0


def kpi_question(kpi: Kpi, request: Request, now_us: int, retention: Retention) -> KpiQuestion:
    """`from`, `to`, `grain`, `by`, `as_of`, and dimensions as filters; `compare` is `is_compared`'s. Raises Rejected."""
    return _kpi_question(kpi, params(request, (*_COMMON, "grain", "compare", *kpi.dimensions)), now_us, retention)


def is_compared(request: Request) -> bool:
    """Whether each period is to be compared with the one before it. Raises Rejected for any other comparison."""
    return _one_of(request.query_params, "compare", ("nothing", "previous")) == "previous"


def evidence_question(kpi: Kpi, request: Request, now_us: int, retention: Retention) -> tuple[EvidenceQuestion, int, From | None]:
    """The same with `of` (numerator unless given); how many rows a page has, and where it begins. Raises Rejected."""
    given = params(request, (*_COMMON, "grain", "of", "limit", "cursor", *kpi.dimensions))
    question, of = _kpi_question(kpi, given, now_us, retention), given.get("of", "numerator")
    return question_of(question, of), limit(given), place_after(given, From)


def _kpi_question(kpi: Kpi, given: Mapping[str, str], now_us: int, retention: Retention) -> KpiQuestion:
    grain = _grain(kpi, given.get("grain", "none"))
    by = _by(given, kpi.dimensions)
    filters = {name: value for name, value in given.items() if name in kpi.dimensions}
    span = parse_span(_needed(given, "from"), _needed(given, "to"), grain)
    if "activity" in kpi.dimensions and "activity" not in by:
        filters.setdefault("activity", retention.activity)
    return KpiQuestion(kpi, span, grain, by, filters, as_of_us(given, now_us), retention.window_days)


def cohort_question(request: Request, now_us: int, *, units: bool) -> CohortQuestion:
    """`from`, `to`, `by`, `as_of`, `journeys`, and `unit` where there are `units`. Raises Rejected."""
    given = params(request, (*_COMMON, "journeys", *(("unit",) if units else ())))
    by = _by(given, COHORT_DIMENSIONS)
    if len(by) > 1:
        raise Rejected("unsupported_dimensions", f"break it down by one of {', '.join(COHORT_DIMENSIONS)} at a time", "/by")
    journeys: Journeys = _one_of(given, "journeys", _JOURNEYS)
    unit: Unit = _one_of(given, "unit", _UNITS)
    span = parse_span(_needed(given, "from"), _needed(given, "to"), "none")
    return CohortQuestion(span, by, journeys, unit, as_of_us(given, now_us))


def as_of_us(given: Mapping[str, str], now_us: int) -> int:
    """The instant `as_of`, now unless given."""
    if "as_of" not in given:
        return now_us
    us = parse_time_us(given["as_of"], "/as_of")
    if not _FIRST_US <= us < _LAST_US:
        raise Rejected("invalid_time", f"as_of lies between {format_time(_FIRST_US)} and {format_time(_LAST_US)}", "/as_of")
    return us


def _grain(kpi: Kpi, text: str) -> Grain:
    for grain in GRAINS:
        if grain == text and grain in kpi.grains:
            return grain
    raise Rejected("unknown_grain", f"{kpi.id} is kept by {', '.join(kpi.grains)}, not by {text!r}", "/grain")


def _by(given: Mapping[str, str], dimensions: tuple[str, ...]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(name.strip() for name in given.get("by", "").split(",") if name.strip()))
    for name in wanted:
        if name not in dimensions:
            raise Rejected("unknown_dimension", f"there is no dimension {name!r} here; there are {', '.join(dimensions)}", "/by")
    return wanted


Choice = TypeVar("Choice", bound=str)


def _one_of(given: Mapping[str, str], name: str, choices: Sequence[Choice]) -> Choice:
    """The first choice is the default."""
    if name not in given:
        return choices[0]
    for choice in choices:
        if choice == given[name]:
            return choice
    raise Rejected("unknown_value", f"{name} is one of {', '.join(choices)}", f"/{name}")


def _needed(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise Rejected(
            "missing_parameter", f"give `{name}` as a day, such as {name}=2026-01-01; `to` is not included", f"/{name}"
        )
    return given[name]
