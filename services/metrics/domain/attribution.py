"""Credit for orders and their worth, given to the marketing touches before them, and the counts from which the models that look at
everybody's paths are computed when they are asked for.

Every rule gives an order whole millionths that add up to one order, and its worth in whole micro-units: shares are cut down, and what
is left over goes to the largest remainders, the earliest touch first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise

import msgspec

from schemas.calendar import Calendar
from schemas.facts import OrderFact, PathFact, Touch
from schemas.times import DAY_US
from services.metrics.domain.contribution import Contribution
from services.metrics.domain.cubes import Dims
from services.metrics.domain.orders import Worth, worths

MILLIONTHS = 1_000_000
DIRECT = "direct"
NONE = ""
"""Stands for no campaign in steps and sets."""
HALF_LIFE_US = 7 * DAY_US
Label = tuple[str | None, str | None]
"""Marketing channel and campaign; of an order without any touch, none."""


def allocated(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in proportion to weights (not all 0), in whole numbers that add up to it: largest remainder (Hare 1857), the first
    among equals first."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    left = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in left[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _one(count: int, place: int) -> list[int]:
    return [1 if i == place else 0 for i in range(count)]


def _last(path: Sequence[Touch]) -> list[int]:
    return _one(len(path), len(path) - 1)


def _last_nondirect(path: Sequence[Touch]) -> list[int]:
    """The last that is not direct; the last of all where every one is."""
    places = [i for i, touch in enumerate(path) if touch.marketing_channel != DIRECT]
    return _one(len(path), places[-1] if places else len(path) - 1)


def _linear(path: Sequence[Touch]) -> list[int]:
    return [1] * len(path)


def _exposure(path: Sequence[Touch]) -> list[int]:
    """Evenly, runs of one channel counting once (with their first touch)."""
    before = [None, *(touch.marketing_channel for touch in path)]
    return [0 if touch.marketing_channel == earlier else 1 for touch, earlier in zip(path, before, strict=False)]


def _position(path: Sequence[Touch]) -> list[int]:
    """40 % to the first, 40 % to the last and 20 % evenly between; halves of two."""
    between = len(path) - 2
    return [1] * len(path) if between <= 0 else [2 * between, *[1] * between, 2 * between]


def _decay(path: Sequence[Touch]) -> list[int]:
    """Half of it for every seven days before the last touch."""
    return [round(2.0**40 * 2.0 ** ((touch.at_us - path[-1].at_us) / HALF_LIFE_US)) for touch in path]


RULES: dict[str, Callable[[Sequence[Touch]], list[int]]] = {
    "last": _last,
    "last_nondirect": _last_nondirect,
    "linear": _linear,
    "linear_exposure": _exposure,
    "position": _position,
    "decay": _decay,
}
"""The weights of a path's touches, by rule. The first touch is apart: it may be older than the path that is kept."""


def credits_of(fact: OrderFact, total: int) -> dict[str, dict[Label, int]]:
    """What `total` of an order gives to whom, by rule."""
    path = fact.path
    if not path:
        return {rule: {(None, None): total} for rule in ("first", *RULES)}
    shares: dict[str, dict[Label, int]] = {"first": {_label(fact.first_touch or path[0]): total}}
    for rule, weights in RULES.items():
        found: dict[Label, int] = defaultdict(int)
        for touch, credit in zip(path, allocated(total, weights(path)), strict=True):
            found[_label(touch)] += credit
        shares[rule] = found
    return shares


def order_contributions(fact: OrderFact, calendar: Calendar) -> Iterator[Contribution]:
    """An order's credits, dated by its placing: its worth as it is amended, and nothing of it once it is cancelled."""
    before: Worth | None = None
    for worth in worths(fact):
        if before is None or worth[1:4] != before[1:4]:
            if before is not None:
                yield from _order(fact, before, worth.at_us, calendar, -1)
            yield from _order(fact, worth, worth.at_us, calendar, 1)
            before = worth


def path_contributions(fact: PathFact, calendar: Calendar) -> Iterator[Contribution]:
    """Its last touch; and a path that has not converted, dated by that, for as long as nothing follows."""
    yield Contribution("touches", "touches", fact.at_us, None, (fact.channels[-1], fact.campaigns[-1] or None), 1)
    for at_us, sign in ((fact.at_us, 1), *(((fact.ended_us, -1),) if fact.ended_us is not None else ())):
        for of, labels in (("channel", fact.channels), ("campaign", fact.campaigns)):
            yield from _path(of, labels, fact.stage, "lost", at_us, calendar.day_of(fact.at_us), sign)


def effect_times(fact: PathFact) -> set[int]:
    return {fact.at_us} if fact.ended_us is None else {fact.at_us, fact.ended_us}


def _order(fact: OrderFact, worth: Worth, at_us: int, calendar: Calendar, sign: int) -> Iterator[Contribution]:
    """What an order counts for while it is worth this, given or taken back at a moment."""
    if not worth.orders:
        return
    placed = calendar.day_of(fact.at_us)
    credits, money = credits_of(fact, MILLIONTHS), credits_of(fact, worth.gross_micros)
    for rule in credits:
        for label, credit in credits[rule].items():
            if credit:
                yield Contribution("attribution", rule, at_us, placed, (*label, fact.stage), sign * credit)
                if rule == "linear":
                    dims: Dims = (worth.currency, *label, fact.stage)
                    yield Contribution("attributed_revenue", "orders", at_us, placed, dims, sign * credit)
        for label, micros in money[rule].items():
            if micros:
                dims = (worth.currency, *label, fact.stage)
                yield Contribution("attributed_revenue", rule, at_us, placed, dims, sign * micros)
    for of, labels in (
        ("channel", [touch.marketing_channel for touch in fact.path]),
        ("campaign", [touch.campaign or NONE for touch in fact.path]),
    ):
        yield from _path(of, labels, fact.stage, "converting", at_us, placed, sign)
        dims = (worth.currency, fact.stage, set_text(labels))
        for measure, value in (("orders", 1), ("gross_micros", worth.gross_micros)):
            if value:
                yield Contribution(f"{of}_worths", measure, at_us, placed, dims, sign * value)


def _path(of: str, labels: Sequence[str], stage: str, measure: str, at_us: int, day: int, sign: int) -> Iterator[Contribution]:
    """The steps of a path, from the start (None) to its end (None), and the set of what is on it. Repeats of the one before are left
    out: they change no removal effect."""
    nodes = [label for label, _ in groupby(labels)]
    for (start, end), count in Counter(pairwise([None, *nodes, None])).items():
        yield Contribution(f"{of}_steps", measure, at_us, day, (stage, start, end), sign * count)
    yield Contribution(f"{of}_sets", measure, at_us, day, (stage, set_text(labels)), sign)


def set_text(labels: Iterable[str]) -> str:
    """A set of channels or campaigns as a dimension's value."""
    return msgspec.json.encode(sorted(set(labels))).decode()


def set_of(text: str | None) -> tuple[str, ...]:
    """The set that `set_text` wrote, in order."""
    return msgspec.json.decode(text or "[]", type=tuple[str, ...])


def _label(touch: Touch) -> Label:
    return touch.marketing_channel, touch.campaign
