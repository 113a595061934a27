"""What customers say, to the business and to others: reviews, moods, referrals, shares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tests.model import Touchpoint
from tests.model.kpis.world import Number, Rows, World, one

REFERRING = {"referral_sent", "referral_made", "invite_sent"}


def voices(world: World) -> Mapping[str, Rows]:
    """Only the customer's own words count; ratings and moods are added up in thousandths."""
    ratings: defaultdict[tuple[str | None, ...], list[int]] = defaultdict(list)
    moods: list[int] = []
    told: list[str | None] = []
    for _, touchpoint in world.own():
        if touchpoint["actor"] == "customer" and world.holds(touchpoint["time_us"]):
            if (review := touchpoint["review"]) is not None:
                ratings[(f"0–{review.get('rating_max', 5)}",)].append(1000 * review["rating"])
            if touchpoint["sentiment"] is not None:
                moods.append(round(1000 * touchpoint["sentiment"]))
            told.append(told_by(touchpoint))
    return {
        "review_rating": {scale: Number(sum(given), len(given)) for scale, given in ratings.items()},
        "sentiment": one(sum(moods), len(moods)),
        "sentiment_negative": one(sum(mood < 0 for mood in moods), len(moods)),
        "word_of_mouth_referrals": one(told.count("referral")),
        "word_of_mouth_shares": one(told.count("share")),
    }


def told_by(touchpoint: Touchpoint) -> str | None:
    """Whether the customer refers somebody, or else shares something."""
    type: str = touchpoint["type"]
    if type in REFERRING or (touchpoint["referral"] is not None and touchpoint["stage"] == "advocacy"):
        return "referral"
    return "share" if type == "share" or type.endswith("_shared") else None
