"""Which measures an answered survey counts in.

Satisfied: at least three quarters of the way up the scale, so 4 and 5 of 1–5. NPS: 9 and 10 promote, 0 to 6 detract (Reichheld, HBR
2003); only the scales 0–10 and 1–10 have one.
"""

from __future__ import annotations

from fractions import Fraction

from msgspec.structs import replace

from schemas.facts import SurveyFact
from schemas.scales import is_satisfied, on_scale


def csat_answer(fact: SurveyFact) -> tuple[str, ...]:
    """The csat measures of a survey: none unless it is an answer with a score on its scale."""
    answer = _score(fact, "csat")
    if answer is None:
        return ()
    score, low, high = answer
    return ("answered", "satisfied") if is_satisfied(score, low, high) else ("answered",)


def nps_answer(fact: SurveyFact) -> tuple[str, ...]:
    """The nps measures of a survey: none unless it is an answer with a score on 0–10 or 1–10."""
    answer = _score(fact, "nps")
    if answer is None or answer[1] not in (0, 1) or answer[2] != 10:
        return ()
    if answer[0] >= 9:
        return ("answered", "promoters")
    return ("answered", "detractors") if answer[0] <= 6 else ("answered",)


def ces_answer(fact: SurveyFact) -> tuple[str, ...]:
    """The ces measures of a survey: none unless it is an answer with a score on its scale, and says which end is easy."""
    answer = _score(fact, "ces")
    if answer is None or fact.easy is None:
        return ()
    score, low, high = answer
    effort = score - low if fact.easy == "low" else high - score
    return ("answered", "easy") if 3 * effort <= high - low else ("answered",)


def scored(fact: SurveyFact, kind: str) -> tuple[str, int] | None:
    """The scale, as 1–5, and the score in thousandths, of an answer to a survey of this kind; None for anything else."""
    answer = _score(fact, kind)
    if answer is None:
        return None
    score, low, high = answer
    return f"{_number(low)}–{_number(high)}", round(score * 1000)


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else str(float(value))


def _score(fact: SurveyFact, kind: str) -> tuple[Fraction, Fraction, Fraction] | None:
    if fact.survey_kind != kind or fact.action != "answered":
        return None
    return on_scale(kind, fact.score, fact.scale_min, fact.scale_max)


def change(fact: SurveyFact) -> tuple[str, int, int] | None:
    """The kind, and what the answers before and after a contact count for in its score; None unless both have one.

    csat: 1 for satisfied; nps: 1 promotes, −1 detracts; ces: 1 for easy; else 0.
    """
    if fact.before is None:
        return None
    score, low, high, easy = fact.before.score, fact.before.scale_min, fact.before.scale_max, fact.before.easy
    earlier = replace(fact, score=score, scale_min=low, scale_max=high, easy=easy)
    for kind, answer in (("csat", csat_answer), ("nps", nps_answer), ("ces", ces_answer)):
        before, after = answer(earlier), answer(fact)
        if before and after:
            return kind, _worth(before), _worth(after)
    return None


def _worth(measures: tuple[str, ...]) -> int:
    return -1 if "detractors" in measures else len(measures) - 1
