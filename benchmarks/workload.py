"""The touchpoints that benchmarks use: a generated year, as it is posted or as records of the topic `touchpoints`.

A year has twenty touchpoints a person. Years of different worlds have no identity, order, case or id in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from schemas.identity import ranked_identities
from schemas.times import format_time, parse_time_us
from schemas.topics import TOUCHPOINTS
from schemas.touchpoint import Accepted
from services.cli.simulate.year import generate
from services.shared.bus import Record, partition_of

END = "2026-11-01T00:00:00Z"
_NAMES = {"order": ("order_id",), "case": ("case_id",), "survey": ("case_id",), "referral": ("referred_by",)}
"""The fields of facets that name somebody or something of a world."""


def deliveries(touchpoints: int, seed: int = 1, world: str = "") -> list[tuple[str, dict[str, Any]]]:
    """(source, touchpoint) in order of arrival; about as many as asked for, never more."""
    year = generate(max(touchpoints // 20, 10), touchpoints, seed, parse_time_us(END))
    return [(source, _moved(body, world) if world else body) for source, body in year.deliveries[:touchpoints]]


def bodies(touchpoints: int, seed: int = 1, world: str = "") -> list[tuple[bytes, bytes]]:
    """(anchor, Accepted as JSON) of a generated year."""
    received_at = format_time(parse_time_us(END)).removesuffix("Z") + ".000000Z"
    found = []
    for source, body in deliveries(touchpoints, seed, world):
        accepted = msgspec.json.decode(
            msgspec.json.encode({**body, "source": source, "system": source, "received_at": received_at}), type=Accepted
        )
        anchor = ranked_identities(accepted.identities, source, accepted.order, accepted.case, accepted.survey)[0]
        found.append((anchor.encode(), msgspec.json.encode(accepted)))
    return found


def records(touchpoints: int, partitions: int, seed: int = 1, world: str = "") -> list[Record]:
    """The same as consumed: offsets without gaps in each partition, all partitions interleaved in order of arrival."""
    return numbered(bodies(touchpoints, seed, world), TOUCHPOINTS, partitions)


def numbered(keyed: Iterable[tuple[bytes, bytes]], topic: str, partitions: int) -> list[Record]:
    """Keys and values as records of a topic that holds nothing else."""
    offsets = [0] * partitions
    found = []
    for key, value in keyed:
        partition = partition_of(key, partitions)
        found.append(Record(topic, partition, offsets[partition], key, value, 0))
        offsets[partition] += 1
    return found


def _moved(body: dict[str, Any], world: str) -> dict[str, Any]:
    """The same touchpoint in another world."""
    moved = {**body, "id": f"{body['id']}-{world}"}
    if "identities" in body:
        moved["identities"] = {namespace: f"{value}-{world}" for namespace, value in body["identities"].items()}
    for facet, names in _NAMES.items():
        if facet in body:
            moved[facet] = {name: f"{value}-{world}" if name in names else value for name, value in body[facet].items()}
    return moved
