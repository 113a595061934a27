"""Poisonous records, written straight into every topic: `python -m tests.flow.poison ADDRESS` publishes them and prints, as JSON, the
positions of a good rejected record behind them in each partition of touchpoints.rejected, once told so by a line of input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping

import msgspec

from schemas import tokens, topics
from schemas.commands import Command
from schemas.rejected import RejectedRecord, original
from services.shared.bus import Bus, Outgoing
from tests.contract.bus_places import open_bus

DEEP = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
LARGE = b"\xff" * 900_000
TOUCHPOINT = {
    "id": "p",
    "type": "x",
    "source": "poisoner",
    "system": "s",
    "received_at": "2026-01-01T00:00:00Z",
    "identities": {"customer_id": "c"},
}
COMMAND = Command(id="p-1", action="erase", identities=["email:a@b.example"], by="sam", at="2026-01-01T00:00:00Z")
REJECTED = RejectedRecord(
    source="s", code="c", message="m", pointer="", rejected_at="2026-01-01T00:00:00Z", room="journey", **original(b"x")
)
ANYWHERE: tuple[bytes | None, ...] = (None, b"", b"\xff\x00", b"no JSON", b"[1]", b"null", b'{"strange": 1}', DEEP, LARGE)


def _encoded(changes: Iterable[Mapping[str, object]], plain: Mapping[str, object]) -> tuple[bytes, ...]:
    return tuple(msgspec.json.encode({**plain, **change}) for change in changes)


OF_TOPIC: dict[str, tuple[bytes | None, ...]] = {
    topics.TOUCHPOINTS: (
        *ANYWHERE,
        *_encoded(
            (
                {"received_at": "2026-02-30T00:00:00Z"},
                {"occurred_at": "now"},
                {"identities": {}},
                {"identities": {"customer_id": 7}},
                {"type": "x" * 999},
                {"order": {"order_id": "o", "amount": -1}},
            ),
            TOUCHPOINT,
        ),
    ),
    topics.COMMANDS: (
        *ANYWHERE,
        *_encoded(({"at": "now"}, {"identities": []}, {"action": "forget"}, {"id": ""}), msgspec.to_builtins(COMMAND)),
    ),
    topics.JOURNEYS: ANYWHERE,
    topics.REJECTED: (
        *ANYWHERE,
        *_encoded(({"rejected_at": "now"}, {"body": "%"}, {"partition": -1}, {"offset": 2**70}), msgspec.to_builtins(REJECTED)),
    ),
}
"""Records that no room can process, by topic."""
ROOM_OF = {topics.TOUCHPOINTS: "journey", topics.COMMANDS: "journey", topics.JOURNEYS: "metrics", topics.REJECTED: "ingest"}
"""Who has to refuse them."""
KEYS = (b"", b"\xff/nonsense")


def expected() -> list[tuple[str, str, bytes]]:
    """(room, topic, bytes) of every record that has to be listed."""
    return [(ROOM_OF[topic], topic, value or b"") for topic, values in OF_TOPIC.items() for value in values for _ in KEYS]


def main() -> None:
    bus = open_bus(sys.argv[1], 10.0)
    publisher = bus.publisher()
    for topic, values in OF_TOPIC.items():
        for value in values:
            publisher.publish([Outgoing(topic, key, value) for key in KEYS]).result(30)
    publisher.publish([Outgoing(topics.DONE, key, value) for value in ANYWHERE for key in KEYS]).result(30)
    print("published", flush=True)
    sys.stdin.readline()
    print(json.dumps(_mark(bus)), flush=True)
    publisher.close()
    bus.close()


def _mark(bus: Bus) -> str:
    """The token of a good record behind everything that is in the topic now."""
    partitions = bus.describe(topics.REJECTED).partitions
    value = msgspec.json.encode(msgspec.structs.replace(REJECTED, source="marker"))
    records = [Outgoing(topics.REJECTED, b"marker", value, partition) for partition in range(partitions)]
    publisher = bus.publisher()
    positions = publisher.publish(records).result(30)
    publisher.close()
    return tokens.encode((topics.REJECTED, *position) for position in positions)


if __name__ == "__main__":
    main()
