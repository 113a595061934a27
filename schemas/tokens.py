"""Receipts' tokens: what a read has to wait for to see what was just posted.

A token lists the highest offset of each (topic, partition) that a request touched: `t0-123_c2-7` is offset 123 of partition 0 of
`touchpoints` and offset 7 of partition 2 of `commands`; `r` stands for `touchpoints.rejected`, which only ingest reads. Several
tokens are joined by commas.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from schemas import topics
from services.shared.errors import Rejected

STITCHED = (topics.TOUCHPOINTS, topics.COMMANDS)
"""What journeys and KPIs are made of."""
_LETTERS = {topics.TOUCHPOINTS: "t", topics.COMMANDS: "c", topics.REJECTED: "r"}
_TOPICS = {letter: topic for topic, letter in _LETTERS.items()}
_PART = re.compile(r"([tcr])(\d{1,6})-(\d{1,19})", re.ASCII)


def encode(touched: Iterable[tuple[str, int, int]]) -> str:
    """The token of (topic, partition, offset) triples; the highest offset of each partition counts. "" for none."""
    highest: dict[tuple[str, int], int] = {}
    for topic, partition, offset in touched:
        key = (_LETTERS[topic], partition)
        highest[key] = max(offset, highest.get(key, -1))
    return "_".join(f"{letter}{partition}-{offset}" for (letter, partition), offset in sorted(highest.items()))


def decode(text: str, of: Collection[str] = STITCHED) -> dict[tuple[str, int], int]:
    """{(topic, partition): highest offset} of one token or several joined by commas, of these topics alone.

    Raises Rejected("invalid_token").
    """
    wanted: dict[tuple[str, int], int] = {}
    for part in re.split(r"[,_]", text):
        if not part.strip():
            continue
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise Rejected("invalid_token", "send the token of a receipt as it was given; several are joined by commas")
        key = (_TOPICS[match[1]], int(match[2]))
        if key[0] in of:
            wanted[key] = max(int(match[3]), wanted.get(key, -1))
    return wanted


def is_passed(wanted: Mapping[tuple[str, int], int], positions: Mapping[tuple[str, int], int]) -> bool:
    """Whether positions (the next offset to read, per topic and partition) have passed everything in a decoded token."""
    return all(positions.get(key, 0) > offset for key, offset in wanted.items())
