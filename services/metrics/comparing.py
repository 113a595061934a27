"""The comparison of each period with the one before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from schemas.calendar import day_number
from services.metrics.answers import Answers, KpiQuestion, split_of
from services.metrics.domain.periods import Span, period_name, periods, start_of
from services.metrics.domain.stages import Row

_FIRST_DAY = day_number("0001-01-01")
Key = tuple[object, ...]


def compared(answers: Answers, question: KpiQuestion) -> list[Row]:
    """The rows of a question with the `previous` value, its sample size `previous_n`, and `change` = value − previous.

    The period before a range without a grain is as long as it. All are null where there was none; `change` also where a value is. Raises
    as the question does.
    """
    rows, earlier = answers.kpi(question), _earlier(question)
    if earlier is None:
        return [{**row, "previous": None, "previous_n": None, "change": None} for row in rows]
    dims = split_of(question)
    before = {_key(row, dims): row for row in answers.kpi(replace(earlier, by=dims))}
    names = _before(earlier, question)
    return [{**row, **_beside(row, before.get((names[str(row["period"])], *_key(row, dims)[1:])))} for row in rows]


def _earlier(question: KpiQuestion) -> KpiQuestion | None:
    """The question whose answer has the period before each; None where the calendar has none."""
    span, grain = question.span, question.grain
    start = 2 * span.start - span.end if grain == "none" else span.start - 1
    if start < _FIRST_DAY:
        return None
    earlier = Span(start, span.start) if grain == "none" else Span(start_of(start, grain), span.end)
    return replace(question, span=earlier)


def _before(earlier: KpiQuestion, question: KpiQuestion) -> Mapping[str, str | None]:
    """{the name of a period: that of the one before it}."""
    if question.grain == "none":
        return {"None": None}
    named = [period_name(period, question.grain) for period in periods(earlier.span, question.grain)]
    return {str(name): last for last, name in pairwise(named)}


def _key(row: Row, dims: Sequence[str]) -> Key:
    return (row["period"], *(row[name] for name in dims))


def _beside(row: Row, before: Row | None) -> Row:
    """What was not seen in the period before counts as that period without any."""
    previous, previous_n = (before["value"], before["n"]) if before is not None else (None, 0)
    known = isinstance(previous, int | float) and isinstance(row["value"], int | float)
    change = float(str(row["value"])) - float(str(previous)) if known else None
    return {"previous": previous, "previous_n": previous_n, "change": change}
