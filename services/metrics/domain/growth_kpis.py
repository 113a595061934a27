"""The KPIs of referrals, reviews, moods, experiments and recommendations. What each counts is in `growth.py`."""

from __future__ import annotations

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Duration, Kpi, MeanScore, Per, PerPerson, Share, Total
from services.metrics.domain.lift import Against
from services.metrics.domain.volume_kpis import PEOPLE

_SEEN = (
    "People are dated by the first variant that they saw, which is theirs; people who saw a second one are excluded from then on. Only what "
    "the customer sees counts, not an assignment."
)
_TRIALS = "Kohavi, Tang and Xu: Trustworthy Online Controlled Experiments. Cambridge University Press, 2020"

EXPOSED = Kpi(
    "experiment_exposed",
    "People in an experiment",
    "count",
    BY_NAME["experiments"],
    Total("exposed"),
    f"People who saw one variant of an experiment. {_SEEN}",
    source=_TRIALS,
    per=("experiment",),
)

GROWTH_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "referral_conversion",
        "Referral conversion",
        "percent",
        BY_NAME["introduced"],
        Share("bought", "journeys"),
        "Journeys that reached purchase or a later stage, as of now, among those that started in the period, of people who had not ordered "
        "before: for journeys in which the customer came by a referral before that, and for the others.",
        source="Schmitt, Skiera and Van den Bulte: Referral Programs and Customer Value. Journal of Marketing 75, 2011",
        per=("referred",),
        against=Against("referred", "false"),
    ),
    Kpi(
        "review_rating",
        "Review rating",
        "score",
        BY_NAME["reviews"],
        MeanScore("rating", "squares", "reviews"),
        "The mean rating of reviews written in the period, apart for each scale; n counts them.",
        source=OWN,
        per=("scale",),
    ),
    Kpi(
        "word_of_mouth_referrals",
        "Referrals per 100 active people",
        "ratio",
        BY_NAME["told"],
        Per("referrals", "people", 100),
        "Referrals that customers made in the period for every 100 distinct people who were active in it.",
        source=OWN,
        beside=PEOPLE,
    ),
    Kpi(
        "word_of_mouth_shares",
        "Shares per 100 active people",
        "ratio",
        BY_NAME["told"],
        Per("shares", "people", 100),
        "What customers shared in the period (types share and …_shared) for every 100 distinct people who were active in it.",
        source=OWN,
        beside=PEOPLE,
    ),
    Kpi(
        "sentiment",
        "Sentiment",
        "ratio",
        BY_NAME["moods"],
        MeanScore("mood", "squares", "given"),
        "The mean sentiment, from −1 to 1, of customer touchpoints for which the sender gave one.",
        source=OWN,
    ),
    Kpi(
        "sentiment_negative",
        "Negative sentiment",
        "percent",
        BY_NAME["moods"],
        Share("negative", "given"),
        "Customer touchpoints with a sentiment below 0 among those for which the sender gave one.",
        source=OWN,
    ),
    EXPOSED,
    Kpi(
        "experiment_excluded",
        "People excluded from an experiment",
        "percent",
        BY_NAME["experiments"],
        Share("excluded", ("exposed", "excluded")),
        f"People who saw more than one variant of an experiment, among all who saw any; by variant, the first that they saw. {_SEEN}",
        source=_TRIALS,
        per=("experiment",),
    ),
    Kpi(
        "experiment_conversion",
        "Conversion in an experiment",
        "percent",
        BY_NAME["experiments"],
        Share("converted", "exposed"),
        "People with an order placed after the exposure that stands now, among those exposed; the lift of each variant over the one called "
        "control (else the first), with its interval and p-value, and a warning where the variants' sizes are too unequal for an even "
        f"split. {_SEEN}",
        source=_TRIALS,
        per=("experiment", "variant"),
        against=Against("variant", "control", even=True),
    ),
    Kpi(
        "experiment_revenue",
        "Revenue per person in an experiment",
        "currency",
        BY_NAME["experiment_worth"],
        PerPerson("gross_micros", "experiment_exposed"),
        f"The gross worth, now, of orders placed after the exposure for each person exposed, per currency. {_SEEN}",
        source=_TRIALS,
        per=("currency", "experiment", "variant"),
        beside=EXPOSED,
        beside_by=("experiment", "variant", "channel", "source"),
    ),
    Kpi(
        "experiment_time_on_site",
        "Time on site in an experiment",
        "seconds",
        BY_NAME["experiment_times"],
        Duration("time_ms", "visits"),
        "How long the visit in which the variant was first seen went on from that moment, once it is over: 30 minutes after its last "
        f"touchpoint. {_SEEN}",
        source=_TRIALS,
        per=("experiment", "variant"),
    ),
    Kpi(
        "recommendations_shown",
        "Recommendations shown",
        "count",
        BY_NAME["recommended"],
        Total("shown"),
        "Recommendations that people were shown; each counts once for each person and product, until it is shown again 30 days later.",
        source=OWN,
    ),
    Kpi(
        "recommendation_clicks",
        "Recommendations clicked",
        "percent",
        BY_NAME["recommended"],
        Share("clicked", "shown"),
        "Recommendations that were clicked within 30 days, as of now, among those shown in the period.",
        source=OWN,
    ),
    Kpi(
        "recommendation_uptake",
        "Recommendation uptake",
        "percent",
        BY_NAME["recommended"],
        Share("bought", "decided", open="open"),
        "Recommendations of which the person ordered the product within 30 days, among those shown in the period; open until then.",
        source=OWN,
    ),
)
