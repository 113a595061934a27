"""The touchpoints that benchmarks use: a generated year, as records of the topic `touchpoints` in order of arrival."""

from __future__ import annotations

import msgspec

from schemas.identity import ranked_identities
from schemas.times import format_time, parse_time_us
from schemas.topics import TOUCHPOINTS
from schemas.touchpoint import Accepted
from services.cli.simulate.year import generate
from services.shared.bus import Record, partition_of

END = "2026-11-01T00:00:00Z"


def bodies(touchpoints: int, seed: int = 1) -> list[tuple[bytes, bytes]]:
    """(anchor, Accepted as JSON) of a generated year with twenty touchpoints a person."""
    end_us = parse_time_us(END)
    received_at = format_time(end_us).removesuffix("Z") + ".000000Z"
    found = []
    for source, body in generate(max(touchpoints // 20, 10), touchpoints, seed, end_us).deliveries:
        accepted = msgspec.json.decode(
            msgspec.json.encode({**body, "source": source, "system": source, "received_at": received_at}), type=Accepted
        )
        anchor = ranked_identities(accepted.identities, source, accepted.order, accepted.case, accepted.survey)[0]
        found.append((anchor.encode(), msgspec.json.encode(accepted)))
    return found[:touchpoints]


def records(touchpoints: int, partitions: int, seed: int = 1) -> list[Record]:
    """The same as consumed: offsets without gaps in each partition, all partitions interleaved in order of arrival."""
    offsets = [0] * partitions
    found = []
    for anchor, body in bodies(touchpoints, seed):
        partition = partition_of(anchor, partitions)
        found.append(Record(TOUCHPOINTS, partition, offsets[partition], anchor, body, 0))
        offsets[partition] += 1
    return found
