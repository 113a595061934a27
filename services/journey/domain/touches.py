"""Marketing touches: what brought the person, and the paths that they make up to an order, or without one.

A touch is the marketing channel of a visit, or of a customer touchpoint with a campaign; one that repeats, inside a visit, the campaign
that the visit came by is the same touch. Everything else is kept, also repeats. An order's path is the touches in the lookback before it,
whatever was ordered in between; the touches since the newest order are a path that has not converted so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from schemas.facts import PathFact, Touch
from schemas.touchpoint import Stage

LONGEST = 50
"""How many touches a path holds at most, the newest; an order's first touch is kept apart."""


class Trail(Struct, array_like=True, frozen=True):
    """The touches within the lookback, in order; the newest `fresh` of them came after the newest order, and are `path` if there are any."""

    touches: list[Touch] = []
    fresh: int = 0
    path: PathFact | None = None

    def repeats(self, touch: Touch, since_us: int) -> bool:
        """Whether the newest touch, if it came since then, is of the same channel and campaign."""
        return bool(self.touches) and self.touches[-1].at_us >= since_us and self.touches[-1][1:] == touch[1:]

    def within(self, at_us: int, lookback_us: int) -> Trail:
        """Without the touches that are too old at this moment."""
        touches = [touch for touch in self.touches if touch.at_us >= at_us - lookback_us]
        return replace(self, touches=touches, fresh=min(self.fresh, len(touches)))

    def with_touch(self, touch: Touch, stage: Stage, first_id: str, lookback_us: int) -> Trail:
        """One touch further; `first_id` (SOURCE/ID) is the touchpoint that it is of, `stage` what the person has not bought for yet."""
        kept = self.within(touch.at_us, lookback_us)
        touches, fresh = [*kept.touches, touch], kept.fresh + 1
        newest = touches[-min(fresh, LONGEST) :]
        path = PathFact(
            at_us=touch.at_us,
            stage=stage,
            channels=_collapsed([one.marketing_channel for one in newest]),
            campaigns=_collapsed([one.campaign or "" for one in newest]),
            first_id=first_id,
        )
        return Trail(touches, fresh, path)

    def ordered(self) -> Trail:
        """The next path begins."""
        return replace(self, fresh=0, path=None)

    def ended_path(self, at_us: int) -> list[PathFact]:
        """The path that is over now, because a touch or an order follows; empty if there is none."""
        return [] if self.path is None else [replace(self.path, ended_us=at_us)]


def path_of(trail: Trail, at_us: int, lookback_us: int) -> tuple[list[Touch], Touch | None]:
    """The path of an order at this moment, and its very first touch where the path is longer than what is kept."""
    touches = trail.within(at_us, lookback_us).touches
    return touches[-LONGEST:], touches[0] if len(touches) > LONGEST else None


def _collapsed(labels: Sequence[str]) -> list[str]:
    return [label for label, _ in groupby(labels)]
