"""Surveys: sent, or answered with a score on a scale."""

from __future__ import annotations

from schemas.facts import SurveyFact
from schemas.scales import USUAL
from schemas.touchpoint import Stage
from services.journey.domain.derive import Derived


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
