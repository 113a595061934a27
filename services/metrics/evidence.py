"""The evidence of a number: the facts that it is the sum of, each with what it adds.

They are read from the stored facts, page by page, with the same contributions that made the rollups; so the amounts of all pages add
up to the number. Who was erased has no facts any more, and who was merged has those of the person that they are now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import quote

from schemas.calendar import Calendar
from schemas.facts import CaseFact, Fact, OrderFact, SurveyFact
from schemas.times import format_time
from services.metrics.answers import Answers, KpiQuestion, cube_of, sortable, split_of
from services.metrics.domain import people_days
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Cube
from services.metrics.domain.kpis import Side, Terms
from services.metrics.domain.measures import contributions
from services.metrics.domain.periods import Span, period_name, spans, start_of
from services.metrics.domain.stages import Row
from services.metrics.store.moments import Met, Place
from services.shared.errors import Rejected

SIDES: tuple[Side, ...] = ("numerator", "denominator", "open")
SCANNED = 2000
"""Facts looked at for one page: with narrow filters a page may have few rows, or none, and still not be the last."""


class From(NamedTuple):
    """Where a page begins: at a fact, and after how many of its rows."""

    place: Place
    after: int


@dataclass(frozen=True)
class EvidenceQuestion:
    """The facts are to be shown of which this number of an answer, the sum of `terms`, is made."""

    side: Side
    terms: Terms
    question: KpiQuestion

    @property
    def cube(self) -> Cube:
        return cube_of(self.question.kpi, self.question.grain)

    def days(self, last_day: int) -> Span:
        """The days of the facts: of people also those of the window before the first period, and those after it up to the last one
        where such facts may add to the period."""
        span = self.question.span
        if self.cube.reaches_back:
            return Span(span.start, max(span.end, last_day + 1))
        if not self.question.kpi.ranged:
            return span
        first = spans(span, self.question.grain)[0]
        return Span(span.start - (self.question.window or first.end - first.start), span.end)


@dataclass(frozen=True)
class Evidence:
    """A page. `total` is the number itself, over all pages and all rows of the KPI's answer."""

    total: int
    rows: list[Row]
    next_page: From | None


def question_of(question: KpiQuestion, of: str) -> EvidenceQuestion:
    """Asks for a number of a KPI's answer. What the KPI beside it counts is shown as that one's, whatever the dimensions.

    Raises Rejected("unknown_number" or "no_evidence").
    """
    known = {side: terms for side in SIDES if (terms := question.kpi.formula.terms(side, question.grain)) is not None}
    if not known:
        raise Rejected("no_evidence", f"{question.kpi.id} is not a sum over facts; its definition says how it is made", "/of")
    for side, terms in known.items():
        if side == of:
            beside = question.kpi.beside
            if beside is not None and beside.id in terms:
                return question_of(replace(question, kpi=beside, by=(), filters={}), "numerator")
            return EvidenceQuestion(side, terms, question)
    raise Rejected("unknown_number", f"of is one of {', '.join(known)}", "/of")


def evidence(answers: Answers, asked: EvidenceQuestion, limit: int, since: From | None) -> Evidence:
    """One page of at most `limit` rows. Raises Rejected as the KPI's own question does."""
    answered = answers.kpi(asked.question)
    total = sum(int(str(row[asked.side])) for row in answered)
    counting = _Counting(answers.calendar, asked, answered)
    rows: list[Row] = []
    days = asked.days(answers.calendar.day_of(asked.question.as_of_us))
    for number, met in enumerate(answers.facts(asked.cube.kinds, days, since.place if since else None)):
        if number == SCANNED:
            return Evidence(total, rows, From(met.place, 0))
        told = since.after if since is not None and since.place == met.place else 0
        found = counting.rows(met)[told:]
        room = limit - len(rows)
        rows += found[:room]
        if len(found) > room:
            return Evidence(total, rows, From(met.place, told + room))
    return Evidence(total, rows, None)


class _Counting:
    """What facts add to a number, by period and the dimensions that it is split by."""

    def __init__(self, calendar: Calendar, asked: EvidenceQuestion, answered: Sequence[Row]) -> None:
        self._calendar, self._asked, self._cube = calendar, asked, asked.cube
        self._split = split_of(asked.question)
        filters = {**asked.question.filters, **asked.question.kpi.fixed}
        if not asked.question.by:  # then there is one row a period, and perhaps one currency that it is of
            filters |= {name: str(row[name] or "") for row in answered for name in self._split}
        self._places = [self._cube.dims.index(name) for name in self._split]
        self._filters = [(self._cube.dims.index(name), value) for name, value in filters.items()]

    def rows(self, met: Met) -> list[Row]:
        amounts: dict[tuple[int, tuple[str | None, ...]], int] = defaultdict(int)
        since_us: dict[tuple[int, tuple[str | None, ...]], int] = {}
        for one in self._counted(met):
            place = self._period(one), tuple(one.dims[index] for index in self._places)
            amounts[place] += self._asked.terms[one.measure] * one.value * one.times
            since_us[place] = min(one.at_us, since_us.get(place, one.at_us))
        shown = _shown(met)
        return [
            {
                "period": period_name(place[0], self._asked.question.grain),
                **dict(zip(self._split, place[1], strict=True)),
                "at": format_time(since_us[place]),
                "amount": amount,
                **shown,
            }
            for place in sorted(amounts, key=lambda place: (place[0], sortable(place[1])))
            if (amount := amounts[place])
        ]

    def _counted(self, met: Met) -> Iterator[Contribution]:
        question = self._asked.question
        for one in self._contributed(met):
            if (
                one.cube == self._cube.name
                and one.measure in self._asked.terms
                and one.at_us <= question.as_of_us
                and self._is_inside(one)
                and all((one.dims[index] or "") == value for index, value in self._filters)
            ):
                yield one

    def _contributed(self, met: Met) -> Iterator[Contribution]:
        """What a fact adds to the cube; to an answer that is made from people's days, as if there were a cube of its periods."""
        question, found = self._asked.question, contributions(met.fact, met.identified, self._calendar)
        if question.is_ranged:
            return people_days.of_periods(found, self._cube, question, self._calendar)
        return found

    def _is_inside(self, one: Contribution) -> bool:
        span, day = self._asked.question.span, self._day(one)
        is_new = self._cube.cohort != "previous" or (one.cohort_day is not None and one.cohort_day < span.start)
        return span.start <= day < span.end and is_new

    def _day(self, one: Contribution) -> int:
        """The day to which a contribution belongs."""
        if self._cube.cohort in (None, "previous") or one.cohort_day is None:
            return self._calendar.day_of(one.at_us)
        return one.cohort_day

    def _period(self, one: Contribution) -> int:
        question = self._asked.question
        if question.grain == "none":
            return question.span.start
        return self._calendar.hour_of(one.at_us) if question.grain == "hour" else start_of(self._day(one), question.grain)


def _shown(met: Met) -> Row:
    """Who and what it is, with where journey tells more."""
    fact, person_id = met.fact, met.place.person_id
    person_url = f"/v1/persons/person_id:{quote(person_id, safe='')}"
    about: Row = {"kind": str(type(fact).__struct_config__.tag), "person_id": person_id, "person_url": person_url}
    return {**about, **_named(fact), "url": _url(fact, person_url)}


def _named(fact: Fact) -> Row:
    if isinstance(fact, OrderFact):
        return {"system": fact.system, "order_id": fact.order_id}
    if isinstance(fact, CaseFact):
        return {"system": fact.system, "case_id": fact.case_id}
    return {"survey_id": fact.survey_id} if isinstance(fact, SurveyFact) else {}


def _url(fact: Fact, person_url: str) -> str:
    if isinstance(fact, OrderFact):
        return f"/v1/persons/order:{quote(f'{fact.system}/{fact.order_id}', safe='/')}/touchpoints"
    if isinstance(fact, CaseFact):
        return f"/v1/cases?system={quote(fact.system, safe='')}&case_id={quote(fact.case_id, safe='')}"
    cohort = getattr(fact, "cohort", None)
    return f"/v1/journeys/{cohort.id}" if cohort is not None else f"{person_url}/touchpoints"
