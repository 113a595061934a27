"""The KPIs of how long journeys stay in a stage. What each counts is in `stays.py`."""

from __future__ import annotations

from dataclasses import dataclass

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.histogram import BUCKETS, bucket_of, middle_of
from services.metrics.domain.kpis import OWN, Answer, Duration, Kpi, Measures, Side, Terms
from services.metrics.domain.periods import Grain
from services.metrics.domain.rollups import Counts

_REACHED = "Dated when the stage was reached; stages that were jumped over are left out. Given per stage."


def censored(days: int) -> int:
    """Under which bucket of a survival's histogram those are counted who were last seen in the stage after so many days."""
    return BUCKETS + bucket_of(days)


@dataclass(frozen=True)
class Survival:
    """The median of a life table: the least number of days by which at most one half of those who reached a stage are still in it.

    Its histogram counts those who left by days, and by `censored(days)` those who were not seen to.
    """

    def answer(self, measures: Measures, grain: Grain, counts: Counts) -> Answer:
        entered, left, ended = (measures[name] for name in ("entered", "left", "ended"))
        return Answer(_median(counts), left, entered, entered, open=entered - left - ended)

    def terms(self, side: Side, grain: Grain) -> Terms | None:
        sides: dict[Side, Terms] = {
            "numerator": {"left": 1},
            "denominator": {"entered": 1},
            "open": {"entered": 1, "left": -1, "ended": -1},
        }
        return sides[side]

    def text(self) -> str:
        return "the least day t with ∏ (1 − left(day) / still there on the day) ≤ 1/2 over the days up to t"


def _median(counts: Counts) -> float | None:
    """In whole numbers, so that a curve that lies exactly on one half is seen to. Who leaves does so before others are lost sight of."""
    at_risk = sum(counts.values())
    above, below = 1, 1
    for bucket in sorted({bucket % BUCKETS for bucket in counts}):
        left = counts.get(bucket, 0)
        above, below = above * (at_risk - left), below * at_risk
        if 2 * above <= below:
            return middle_of(bucket)
        at_risk -= left + counts.get(BUCKETS + bucket, 0)
    return None


STAY_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "time_in_stage",
        "Time in stage",
        "seconds",
        BY_NAME["stays"],
        Duration("time_ms", "left"),
        f"From reaching a stage to reaching a later one, of the journeys that did. {_REACHED}",
        source=OWN,
        per=("stage",),
    ),
    Kpi(
        "median_days_in_stage",
        "Median days in stage",
        "days",
        BY_NAME["stays"],
        Survival(),
        "The day by which one half of the journeys that reached a stage have reached a later one, by the life table: those that are "
        "over, or still there as of now, count up to that day only. None while more than one half are still there. Days of the "
        f"calendar, within 1 % above 49. {_REACHED}",
        source="Kaplan and Meier: Nonparametric Estimation from Incomplete Observations. JASA 53 (1958)",
        per=("stage",),
        survives=True,
        exploratory=True,
    ),
)
