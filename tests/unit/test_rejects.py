"""What a consuming room can't process is kept with its bytes, its place and the reason, whatever it is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import tokens, topics
from schemas.rejected import MAX_TEXT, RejectedRecord
from services.shared.bus import MAX_RECORD_BYTES, Record, TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.errors import Rejected
from services.shared.rejects import Rejects

NOW_US = 1_795_340_000_000_000


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBus]:
    with closing(EmbeddedBus(tmp_path_factory.mktemp("bus") / "bus.db")) as opened:
        opened.create([TopicSpec(topics.REJECTED, 1)])
        yield opened


def keep(bus: EmbeddedBus, record: Record, error: Rejected) -> RejectedRecord:
    rejects = Rejects(bus, "journey", lambda: NOW_US)
    rejects.keep(record, error)
    rejects.close()
    end = bus.end_offsets(topics.REJECTED)[0]
    (kept,) = bus.read(topics.REJECTED, 0, end - 1)
    return msgspec.json.decode(kept.value or b"", type=RejectedRecord)


def test_the_source_of_a_touchpoint_is_the_source_of_its_reject(bus: EmbeddedBus) -> None:
    record = Record(topics.TOUCHPOINTS, 2, 7, b"email:a@b.example", b'{"source": "shop", "type": 7}', 0)
    kept = keep(bus, record, Rejected("invalid_record", "no touchpoint", "/type"))
    assert kept == RejectedRecord(
        source="shop",
        code="invalid_record",
        message="no touchpoint",
        pointer="/type",
        rejected_at="2026-11-22T09:33:20Z",
        room="journey",
        body=base64.b64encode(record.value or b"").decode(),
        topic=topics.TOUCHPOINTS,
        partition=2,
        offset=7,
        key=base64.b64encode(b"email:a@b.example").decode(),
    )


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    topic=st.sampled_from([topics.TOUCHPOINTS, topics.COMMANDS]),
    key=st.binary(max_size=40),
    value=st.none() | st.binary(max_size=200) | st.sampled_from([b"[" * 100_000, b'{"source":' + b'"' + b"x" * 500_000 + b'"}']),
    text=st.text(max_size=20),
    times=st.sampled_from([1, 100_000]),
)
def test_whatever_a_record_is_it_can_be_kept(
    bus: EmbeddedBus, topic: str, key: bytes, value: bytes | None, text: str, times: int
) -> None:
    kept = keep(bus, Record(topic, 0, 0, key * times, value, 0), Rejected("code", text * times, text * times))
    assert kept.body is not None
    assert base64.b64decode(kept.body) == (value or b"")
    assert len(kept.message) <= MAX_TEXT


def test_what_is_too_large_for_another_record_is_told_by_its_place_size_and_digest(bus: EmbeddedBus) -> None:
    value = b"\0" * MAX_RECORD_BYTES
    kept = keep(bus, Record(topics.TOUCHPOINTS, 0, 3, b"", value, 0), Rejected("invalid_record", "no touchpoint"))
    assert (kept.body, kept.size, kept.sha256) == (None, len(value), hashlib.sha256(value).hexdigest())
    assert (kept.topic, kept.partition, kept.offset) == (topics.TOUCHPOINTS, 0, 3)


def test_a_token_tells_each_reader_what_it_reads() -> None:
    token = tokens.encode([(topics.TOUCHPOINTS, 0, 5), (topics.REJECTED, 1, 3), (topics.COMMANDS, 2, 9)])
    assert tokens.decode(token) == {(topics.TOUCHPOINTS, 0): 5, (topics.COMMANDS, 2): 9}
    assert tokens.decode(token, (topics.REJECTED,)) == {(topics.REJECTED, 1): 3}
    with pytest.raises(Rejected, match="invalid_token"):
        tokens.decode("x1-2")
