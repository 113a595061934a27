"""Surveys: sent, or answered with a score on a scale."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.facts import Between, Score, SurveyFact
from schemas.scales import USUAL, on_scale
from schemas.touchpoint import Stage
from services.journey.domain.derive import Derived
from services.journey.domain.state import State


def survey_fact(touchpoint: Derived, stage: Stage, topic: str | None) -> SurveyFact:
    """What a survey touchpoint states; without an action it was answered if it has a score."""
    survey = touchpoint.survey
    assert survey is not None
    low, high = USUAL.get(survey.kind, (None, None))
    return SurveyFact(
        survey_id=survey.survey_id,
        survey_kind=survey.kind,
        action=survey.action or ("answered" if survey.score is not None else "sent"),
        at_us=touchpoint.time_us,
        stage=stage,
        channel=touchpoint.channel,
        source=touchpoint.source,
        score=survey.score,
        scale_min=low if survey.scale_min is None else survey.scale_min,
        scale_max=high if survey.scale_max is None else survey.scale_max,
        easy=survey.easy,
        case_id=survey.case_id or (touchpoint.case.case_id if touchpoint.case is not None else None),
        topic=topic,
        first_id=f"{touchpoint.source}/{touchpoint.id}",
    )


def compared(survey: SurveyFact, state: State) -> SurveyFact:
    """An answer with the one before it, if a case was opened between them; it is the one before the next."""
    kind = survey.survey_kind
    if survey.action != "answered" or kind not in USUAL:
        return survey
    answer = on_scale(kind, survey.score, survey.scale_min, survey.scale_max)
    if answer is None:
        return survey
    before, key = state.answers.get(kind), state.since_answers.pop(kind, None)
    score, low, high = map(float, answer)
    state.answers[kind] = Score(score, low, high, survey.easy)
    case = state.cases.get(key) if key is not None else None
    if before is None or case is None:
        return survey
    return replace(survey, before=before, between=Between(case.channel, case.topic))
