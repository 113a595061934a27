"""Histograms as bytes: few counts as pairs, many as one wide whole number, so that hundreds of them add up in a millisecond."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from services.metrics.domain.rollups import Counts, add_counts

_PAIR = struct.Struct("<HI")
_SIGNED = struct.Struct("<Hi")
_FIRST = struct.Struct("<H")
_LANE_BYTES = 6
_LANE_BITS = 8 * _LANE_BYTES
_DENSE = 64
"""Fewer counts are pairs however close together they are."""
_PAIRS, _SIGNED_PAIRS, _LANES = b"p", b"s", b"l"


def pack(counts: Counts) -> bytes:
    """The bytes of {bucket: count}; no count is 0. Below 0 are counts of rows that only take back what others have.

    Raises ValueError for a count of 0, or of more than 32 bits.
    """
    if any(not count or not -(1 << 31) <= count < 1 << 32 for count in counts.values()):
        raise ValueError("a histogram's counts have 32 bits and are not 0")
    if not counts:
        return _PAIRS
    if min(counts.values()) < 0:
        return _SIGNED_PAIRS + b"".join(_SIGNED.pack(bucket, counts[bucket]) for bucket in sorted(counts))
    first, last = min(counts), max(counts)
    if len(counts) < _DENSE or (last - first + 1) * _LANE_BYTES > len(counts) * _PAIR.size * 2:
        return _PAIRS + b"".join(_PAIR.pack(bucket, counts[bucket]) for bucket in sorted(counts))
    lanes = b"".join(counts.get(bucket, 0).to_bytes(_LANE_BYTES, "little") for bucket in range(first, last + 1))
    return _LANES + _FIRST.pack(first) + lanes


def unpack(*packed: bytes) -> Counts:
    """{bucket: count} of all these together."""
    return merged((data, 1) for data in packed)


def merged(signed: Iterable[tuple[bytes, int]]) -> Counts:
    """The sum of packed histograms, each taken +1 or −1 times. Sums stay below 2⁴⁸ in every bucket."""
    counts: Counts = {}
    wide = {1: 0, -1: 0}
    for data, sign in signed:
        if data[:1] != _LANES:
            for bucket, count in (_PAIR if data[:1] == _PAIRS else _SIGNED).iter_unpack(data[1:]):
                counts[bucket] = counts.get(bucket, 0) + sign * count
        else:
            (first,) = _FIRST.unpack_from(data, 1)
            wide[sign] += int.from_bytes(data[1 + _FIRST.size :], "little") << (_LANE_BITS * first)
    for sign, number in wide.items():
        if number:
            add_counts(counts, {bucket: sign * count for bucket, count in _lanes(number)})
    return {bucket: count for bucket, count in counts.items() if count}


def _lanes(number: int) -> Iterable[tuple[int, int]]:
    data = number.to_bytes(-(-number.bit_length() // _LANE_BITS) * _LANE_BYTES, "little")
    for bucket in range(len(data) // _LANE_BYTES):
        if count := int.from_bytes(data[bucket * _LANE_BYTES : (bucket + 1) * _LANE_BYTES], "little"):
            yield bucket, count
