"""Plain histories of one person as journey derives, folds and publishes them, with neither database nor bus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import count
from uuid import UUID

import msgspec

from schemas.calendar import month_text
from schemas.facts import Fact, PersonMonth, month_key
from schemas.topics import JOURNEYS
from schemas.touchpoint import Order
from services.journey.domain.derive import Derived
from services.journey.domain.fold import Fold, FoldRules
from services.journey.domain.state import State
from services.shared.bus import Record, partition_of
from tests.model import Touchpoint

PARTITIONS = 3
_offsets = count()


def derived(touchpoint: Touchpoint) -> Derived:
    """A touchpoint of the models of journeys, all of one customer."""
    order = touchpoint["order"]
    return Derived(
        id=touchpoint["id"],
        type="something",
        source=touchpoint["source"],
        system=touchpoint["system"],
        time_us=touchpoint["time_us"],
        original_us=touchpoint["time_us"],
        received_us=touchpoint["time_us"],
        occurred_us=touchpoint["time_us"],
        device=None,
        delay_us=None,
        case_rank=touchpoint.get("case_rank", 0),
        identities=["customer_id:c"],
        channel="store",
        actor=touchpoint["actor"],
        stage=touchpoint["stage"],
        placed_order=touchpoint["placed_order"],
        order=Order(order_id=order["order_id"], action=order["action"]) if order is not None else None,
    )


def facts_of(person: UUID, history: Iterable[Derived], timeout_us: int) -> dict[int, list[Fact]]:
    """The facts of a history in its order, by month."""
    fold = Fold(person, FoldRules(classify=lambda page, campaign: "direct", timeout_us=timeout_us), State(), None)
    for touchpoint in history:
        fold.advance(touchpoint)
    fold.finish()
    months: defaultdict[int, list[Fact]] = defaultdict(list)
    for (month, _), fact in fold.facts.items():
        if fact is not None:
            months[month].append(fact)
    return months


def published(person: UUID, history: Iterable[Derived], timeout_us: int) -> list[Record]:
    """The records of a history, as the relay publishes them."""
    records = []
    for month, facts in facts_of(person, history, timeout_us).items():
        value = PersonMonth(person_id=str(person), month=month_text(month), version=1, facts=facts)
        key = month_key(str(person), month_text(month))
        records.append(Record(JOURNEYS, partition_of(key, PARTITIONS), next(_offsets), key, msgspec.json.encode(value), 0))
    return records
