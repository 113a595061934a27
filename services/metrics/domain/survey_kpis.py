"""The KPIs of surveys. Which answers count in what is in `surveys.py`."""

from __future__ import annotations

from services.metrics.domain.contact_formulas import Change
from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import Kpi, MeanScore, NetScore, Share

_CSAT = "ISO 10004:2018 Quality management — Customer satisfaction — Guidelines for monitoring and measuring"
_NPS = "Reichheld: The One Number You Need to Grow. Harvard Business Review, December 2003"
_CES = "Dixon, Freeman and Toman: Stop Trying to Delight Your Customers. Harvard Business Review, July 2010"

_PAIRED = (
    "less the same of the answer that these people gave before, where a case was opened between the two (of several the newest, whose "
    "channel and topic count); dated at the later answer."
)


def _change(id: str, title: str, of: str, scores: str, source: str) -> Kpi:
    return Kpi(id, title, "points", BY_NAME[of], Change(), f"{scores} of people who answered again, {_PAIRED}", source=source)


SURVEY_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "csat",
        "Customer satisfaction",
        "percent",
        BY_NAME["csat"],
        Share("satisfied", "answered"),
        "Satisfied among all answered satisfaction surveys. Satisfied is a score at least three quarters of the way up its scale: "
        "4 and 5 of 1 to 5.",
        source=_CSAT,
    ),
    Kpi(
        "csat_mean",
        "Mean satisfaction",
        "score",
        BY_NAME["csat_scores"],
        MeanScore("score", "squares", "answered"),
        "Mean score of answered satisfaction surveys, given for each scale; scales are never mixed.",
        source=_CSAT,
        per=("scale",),
    ),
    Kpi(
        "nps",
        "Net promoter score",
        "points",
        BY_NAME["nps"],
        NetScore("promoters", "detractors", "answered"),
        "Share of answers 9 and 10 less share of answers 0 to 6, in points; scales 0 to 10 and 1 to 10 only.",
        source=_NPS,
    ),
    Kpi(
        "ces",
        "Customer effort score",
        "score",
        BY_NAME["ces_scores"],
        MeanScore("score", "squares", "answered"),
        "Mean score of answered effort surveys, given for each scale and direction (which end means easy); they are never mixed.",
        source=_CES,
        per=("scale", "easy"),
    ),
    Kpi(
        "ces_easy",
        "Easy",
        "percent",
        BY_NAME["ces"],
        Share("easy", "answered"),
        "Easy among all answered effort surveys that say which end is easy: at most a third of the way from that end (1 and 2 of "
        "1 to 5, 1 to 3 of 1 to 7, and the mirror image).",
        source=_CES,
    ),
    Kpi(
        "survey_response_rate",
        "Survey response rate",
        "percent",
        BY_NAME["sendings"],
        Share("answered", "sent"),
        "Surveys answered, as of now, among those that are known to have been sent in the period. One that is sent again before it is "
        "answered counts twice.",
        source="AAPOR: Standard Definitions: Final Dispositions of Case Codes and Outcome Rates for Surveys",
    ),
    _change("csat_change_after_contact", "Satisfaction after a contact", "csat_change", "Share of satisfied answers", _CSAT),
    _change("nps_change_after_contact", "Net promoter score after a contact", "nps_change", "Net promoter score", _NPS),
    _change("ces_easy_change_after_contact", "Easy after a contact", "ces_change", "Share of answers that call it easy", _CES),
)
