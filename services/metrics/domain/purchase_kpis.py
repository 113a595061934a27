"""The KPIs of what leads up to purchases, of goals, and of those who first bought then. What each counts is in `purchases.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.calendar import month_of_day
from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Answer, Average, Duration, Kpi, Measures, Share, Side, Terms, Total
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts

_MICROS = 1_000_000
_BEFORE = "since the journey's start and the person's order before it, without any about an order; dated at the order, which has to stand."


@dataclass(frozen=True)
class NetPerPerson:
    """Net money per person, in units of the currency."""

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        net, people = measures["gross_micros"] - measures["refunded_micros"], measures["people"]
        return Answer(net / people / _MICROS if people else None, net, people, people)

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        return {"numerator": {"gross_micros": 1, "refunded_micros": -1}, "denominator": {"people": 1}}.get(side)

    def text(self) -> str:
        return f"(gross_micros − refunded_micros) / people / {_MICROS:,}"


def has_come(start: int, dims: Mapping[str, str | None], last_day: int) -> bool:
    """Whether that many months after the first purchase have come for those who bought when the period began."""
    return month_of_day(start) + int(dims["months_since"] or 0) <= month_of_day(last_day)


FIRST_TIME_BUYERS = Kpi(
    "first_time_buyers",
    "First-time buyers",
    "count",
    BY_NAME["first_purchases"],
    Total("people"),
    "People whose first order that stands lies in the period.",
    source=OWN,
)

PURCHASE_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "touchpoints_per_purchase",
        "Touchpoints per purchase",
        "ratio",
        BY_NAME["purchases"],
        Average("touchpoints", "purchases"),
        f"The person's touchpoints before an order, {_BEFORE}",
        source=OWN,
    ),
    Kpi(
        "channels_per_purchase",
        "Channels per purchase",
        "ratio",
        BY_NAME["purchases"],
        Average("channels", "purchases"),
        f"Distinct channels of the person's touchpoints before an order, {_BEFORE}",
        source=OWN,
    ),
    Kpi(
        "purchases_over_four_touchpoints",
        "Purchases after more than four touchpoints",
        "percent",
        BY_NAME["purchases"],
        Share("over_four", "purchases"),
        f"Orders with more than four of the person's touchpoints before them, {_BEFORE}",
        source=OWN,
    ),
    Kpi(
        "time_to_first_purchase",
        "Time to first purchase",
        "seconds",
        BY_NAME["first_purchases"],
        Duration("time_ms", "people"),
        "From a person's first touchpoint to the first order that stands, dated at that order.",
        source=OWN,
    ),
    FIRST_TIME_BUYERS,
    Kpi(
        "cohort_retention",
        "Buyers by months since their first purchase",
        "percent",
        BY_NAME["purchase_cohorts"],
        Share("active", FIRST_TIME_BUYERS.id),
        "Of the people whose first order that stands lies in the period, those who ordered in the month so many months after that of "
        "their first order. With grain=month and by=months_since it is the table of cohorts; months that have not come yet are left out.",
        source="Fader and Hardie: Probability Models for Customer-Base Analysis. Journal of Interactive Marketing 23 (2009)",
        grains=("month", "none"),
        per=("months_since",),
        beside=FIRST_TIME_BUYERS,
        is_told=has_come,
    ),
    Kpi(
        "lifetime_value",
        "Lifetime value to date",
        "currency",
        BY_NAME["lifetimes"],
        NetPerPerson(),
        "Net revenue as of now of the people whose first order that stands in this currency lies in the period, per person. Given per "
        "currency.",
        source="Gupta and others: Modeling Customer Lifetime Value. Journal of Service Research 9 (2006); to date, nothing is predicted.",
        per=("currency",),
    ),
    Kpi(
        "goals_stated",
        "Goals stated",
        "count",
        BY_NAME["goals"],
        Total("stated"),
        "Goals that people stated, each once in a journey, dated when it was stated first.",
        source=OWN,
    ),
    Kpi(
        "goals_reached",
        "Goals reached",
        "percent",
        BY_NAME["goals"],
        Share("reached", "stated"),
        "Goals that were said to be reached later in the same journey, or at once, among those stated in the period.",
        source=OWN,
    ),
    Kpi(
        "channel_switches",
        "Channel switches",
        "count",
        BY_NAME["channel_switches"],
        Total("switches"),
        "Customer touchpoints on another channel than the customer's touchpoint before them in the same journey.",
        source=OWN,
    ),
)
