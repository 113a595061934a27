"""The KPIs of surveys. Which answers count in what is in `surveys.py`."""

from __future__ import annotations

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import Kpi, MeanScore, NetScore, Share

_CSAT = "ISO 10004:2018 Quality management — Customer satisfaction — Guidelines for monitoring and measuring"
_CES = "Dixon, Freeman and Toman: Stop Trying to Delight Your Customers. Harvard Business Review, July 2010"

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
        source="Reichheld: The One Number You Need to Grow. Harvard Business Review, December 2003",
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
)
