"""What holds for every input of ingest."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.normal import Identities, Value
from schemas.touchpoint import Accepted
from services.ingest.domain.accept import Arrival, Batch, accept
from services.ingest.domain.split import split
from services.ingest.domain.unzip import unzip
from services.shared.errors import Rejected

T = TypeVar("T")
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)
NAMESPACES = st.sampled_from(["customer_id", "email", "phone", "anonymous_id", "device_id", "zendesk_user"])
IDENTITIES = st.dictionaries(NAMESPACES, TEXT | NUMBERS | st.none(), max_size=4)
TOUCHPOINTS = st.fixed_dictionaries(
    {"type": TEXT.filter(bool), "identities": IDENTITIES.map(lambda some: {**some, "customer_id": "c-1"})},
    optional={
        "id": st.text("abc", min_size=1, max_size=3),
        "properties": st.dictionaries(TEXT, JSON, max_size=4),
        "goal": st.none(),
    },
)
FRAGMENTS = st.sampled_from(
    [
        b'{"type":"x","identities":{"customer_id":"c"}}',
        b'{"type":"x","identities":{"customer_id":7}}',
        b'{"type":"x","identities":{"customer_id":"c"},"goal":null}',
        b'{"type":"x","type":"y"}',
        b'{"type":NaN}',
        b'{"type":1e999}',
        b'{"type":"\xff"}',
        b'{"type":"\\ud800"}',
        b'{"a":"]},{["}',
        b'{"a":"\\""}',
        b"[" * 10_000 + b"]" * 10_000,
        b"[1,[2,{}]]",
        b"7",
        b"-",
        b"nul",
        b"{}",
    ]
)
PHONE = Identities("DE", ["email:info@shop.example"])


def tried(call: Callable[[], T]) -> T | Rejected:
    """What the call returns, or why it refuses."""
    try:
        return call()
    except Rejected as reason:
        return reason


def run(items: list[bytes]) -> Batch:
    return accept(items, Arrival("shop", "shop", 0, lambda index: f"made-{index}"), PHONE)


@given(st.lists(FRAGMENTS, min_size=1, max_size=8))
def test_every_item_of_an_array_has_exactly_one_outcome_whatever_its_neighbours(items: list[bytes]) -> None:
    found = split(b" [" + b" , ".join(items) + b"]\n")
    assert found == items
    batch = run(found)
    assert [result.index for result in batch.results] == list(range(len(items)))
    assert len(batch.outcomes) == len(items)
    alone = [run([item]).outcomes[0] for item in items]
    assert batch.outcomes == alone
    assert len(batch.touchpoints) == alone.count("accepted")
    assert len(batch.rejected) == alone.count("rejected")


@given(st.lists(FRAGMENTS, min_size=1, max_size=8))
def test_every_line_of_ndjson_has_exactly_one_outcome(items: list[bytes]) -> None:
    assert split(b"\n\n" + b"\r\n".join(items), is_lines=True) == items


@given(st.lists(TOUCHPOINTS, min_size=1, max_size=5))
def test_what_was_sent_is_on_the_bus_unchanged(sent: list[dict[str, Any]]) -> None:
    batch = run(split(json.dumps(sent, ensure_ascii=False).encode()))
    assert set(batch.outcomes) <= {"accepted", "duplicate"}
    by_id: dict[str, list[Accepted]] = {}
    for _, value in batch.touchpoints:
        stored = msgspec.json.decode(value, type=Accepted)
        by_id.setdefault(stored.id, []).append(stored)
    for index, item in enumerate(sent):
        copies = by_id[item.get("id", f"made-{index}")]
        assert any(
            copy.type == item["type"]
            and json.loads(bytes(copy.properties)) == item.get("properties", {})
            and copy.identities == PHONE.normalise(item["identities"])
            for copy in copies
        )


@given(IDENTITIES)
@example({"email": "İ@B.example", "phone": "030 123456", "customer_id": 1e22})
@example({"phone": "+49 (0)30 123456 ext. 7", "email": " Ａ@b.example\u2000"})
@example({"customer_id": "x" * 201})
def test_normalising_twice_is_normalising_once(some: dict[str, Value]) -> None:
    once = tried(lambda: PHONE.normalise(some))
    if isinstance(once, Rejected):
        assert once.code == "identity_too_long"
    else:
        assert PHONE.normalise({**once}) == once


@given(st.binary(max_size=200) | st.lists(FRAGMENTS | st.binary(max_size=9), max_size=9).map(b"".join), st.booleans())
@example(b'["' + b'\\"' * 200_000, False)
@example(b'{"' + b"[" * 200_000, False)
@example(b'{"type":"x","identities":{"customer_id":' + b"9" * 5_000 + b"}}", False)
def test_arbitrary_bytes_are_refused_or_have_outcomes(body: bytes, is_lines: bool) -> None:
    items = tried(lambda: split(body, is_lines))
    if isinstance(items, Rejected):
        assert items.code in {"empty_body", "empty_batch", "invalid_json", "not_touchpoints", "too_many_touchpoints"}
    else:
        assert len(run(items).results) == len(items) >= 1


@given(st.binary(max_size=300), st.integers(0, 300))
def test_gzip_comes_out_as_it_went_in_and_never_past_the_limit(body: bytes, limit: int) -> None:
    out = tried(lambda: unzip(gzip.compress(body), limit))
    if isinstance(out, Rejected):
        assert out.code == "body_too_large"
        assert len(body) > limit
    else:
        assert out == body
        assert len(body) <= limit


@given(st.binary(min_size=1, max_size=300), st.data())
def test_cut_off_gzip_is_never_taken_for_the_whole(body: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(body)
    cut = data.draw(st.integers(1, len(packed) - 1))
    out = tried(lambda: unzip(packed[:cut], 1000))
    assert isinstance(out, Rejected)
    assert out.code == "invalid_gzip"


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), min_size=1), st.sampled_from("abc"), st.integers(0, 3))
def test_a_duplicate_key_is_found_exactly_when_there_is_one(first: dict[str, int], key: str, value: int) -> None:
    pairs = [*first.items(), (key, value)]
    inside = ",".join(f'"{name}":{number}' for name, number in pairs)
    raw = f'{{"type":"x","identities":{{"customer_id":7}},"properties":{{"p":{{{inside}}}}}}}'.encode()
    result = run([raw]).results[0]
    assert result.code == ("duplicate_key" if key in first else None)
