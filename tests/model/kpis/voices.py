"""What customers say: reviews and moods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tests.model.kpis.world import Number, Rows, World, one


def voices(world: World) -> Mapping[str, Rows]:
    """Only the customer's own words count; ratings and moods are added up in thousandths."""
    ratings: defaultdict[tuple[str | None, ...], list[int]] = defaultdict(list)
    moods: list[int] = []
    for _, touchpoint in world.own():
        if touchpoint["actor"] == "customer" and world.holds(touchpoint["time_us"]):
            if (review := touchpoint["review"]) is not None:
                ratings[(f"0–{review.get('rating_max', 5)}",)].append(1000 * review["rating"])
            if touchpoint["sentiment"] is not None:
                moods.append(round(1000 * touchpoint["sentiment"]))
    return {
        "review_rating": {scale: Number(sum(given), len(given)) for scale, given in ratings.items()},
        "sentiment": one(sum(moods), len(moods)),
        "sentiment_negative": one(sum(mood < 0 for mood in moods), len(moods)),
    }
