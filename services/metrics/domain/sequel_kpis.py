"""The KPIs of what follows: articles that spare a contact, recoveries, slow answers, outreach."""

from __future__ import annotations

from services.metrics.domain.contact_formulas import OutreachEffect
from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Kpi, Share

_GOOD_OR_BAD = "bad after a bad experience (as for recovery_rate), good after a satisfied answer or the resolution of a case without one, else none."

SEQUEL_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "deflection_rate",
        "Self-service deflection",
        "percent",
        BY_NAME["deflection"],
        Share("deflected", "decided", open="open"),
        "Visits with a help article after the first of which the person opened no case within 24 hours, among all visits with a help "
        "article, dated at that article; open until the 24 hours have passed.",
        source=OWN,
    ),
    Kpi(
        "recovery_rate",
        "Service recovery",
        "percent",
        BY_NAME["recovery"],
        Share("recovered", "decided", open="open"),
        "Bad experiences (an answer in the lowest quarter of a satisfaction scale, a complaint, a reopened case, a wait over 5 minutes) "
        "that a later touchpoint followed within 90 days with compensation, a satisfied answer or an order; open until then.",
        source="McCollough and Bharadwaj: The Recovery Paradox. In Allen (ed.): Marketing Theory and Applications, AMA, 1992",
    ),
    Kpi(
        "abandoned_after_slow_answer",
        "Abandoned after a slow answer",
        "percent",
        BY_NAME["slow_answers"],
        Share("abandoned", "decided", open="open"),
        "First answers to cases more than 5 minutes after they opened, in journeys that had not reached purchase, after which the "
        "customer did nothing for 7 days; dated at the answer, open until the 7 days have passed.",
        source=OWN,
    ),
    Kpi(
        "proactive_share",
        "Proactive contacts",
        "percent",
        BY_NAME["mix"],
        Share("proactive", ("proactive", "reactive")),
        "Outreaches of the business (the first to each person by its id, controls left out) among these and the cases that customers "
        "opened.",
        source=OWN,
    ),
    Kpi(
        "outreach_effect",
        "Effect of outreach",
        "points",
        BY_NAME["outreach"],
        OutreachEffect(),
        "People who opened a case within 7 days after an outreach reached them, in percent, less the same of its control group; without "
        "controls less those of the same people who opened one in the 7 days before. Given for each outreach; open until the 7 days "
        "have passed.",
        source="Newcombe: Interval estimation for the difference between independent proportions. Statistics in Medicine 17 (1998)",
        per=("outreach",),
    ),
    Kpi(
        "conversion_after_contact",
        "Conversion by the last contact",
        "percent",
        BY_NAME["contact_conversion"],
        Share("converted", "journeys"),
        f"New journeys that reached purchase, among those that started in the period, as of now, by the person's last contact before "
        f"purchase, or so far: {_GOOD_OR_BAD}",
        source=OWN,
    ),
    Kpi(
        "retention_after_contact",
        "Retention by the last contact",
        "percent",
        BY_NAME["contact_retention"],
        Share("retained", "active", open="open"),
        f"People active in a month who are active in the next one too, by their last contact before they were first active in it: "
        f"{_GOOD_OR_BAD} Counted for each month of the period; open until the next month is over.",
        source=OWN,
        grains=("month", "quarter", "year", "none"),
    ),
)
