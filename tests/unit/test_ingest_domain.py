"""Ingest's pure core, case by case."""

from __future__ import annotations

import gzip
import json
import uuid

import msgspec
import pytest

from schemas.ids import timed
from schemas.normal import Identities
from schemas.rejected import RejectedRecord
from services.ingest.domain.accept import Arrival, Batch, accept
from services.ingest.domain.ids import keyed
from services.ingest.domain.split import split
from services.ingest.domain.unzip import unzip
from services.shared.errors import Rejected


def run(*items: object, identities: Identities | None = None) -> Batch:
    raw = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
    return accept(raw, Arrival("shop", "erp", 1_000_000, lambda index: f"made-{index}"), identities or Identities())


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ({"customer_id": " c-42\n"}, {"customer_id": "c-42"}),
        (
            {"customer_id": 42, "zendesk_user": 42.0, "loyalty_card": 1.5},
            {"customer_id": "42", "zendesk_user": "42", "loyalty_card": "1.5"},
        ),
        ({"customer_id": 1e20, "zendesk_user": 1e22}, {"customer_id": "100000000000000000000", "zendesk_user": "1e+22"}),
        ({"email": "Ada.Lovelace@Example.ORG "}, {"email": "ada.lovelace@example.org"}),
        ({"customer_id": "Zoe\u0308"}, {"customer_id": "Zoë"}),
        ({"phone": "030 123456"}, {"phone": "+4930123456"}),
        ({"phone": "+49 (0)30 123456"}, {"phone": "+4930123456"}),
        ({"phone": "extension 7"}, {"phone": "extension 7"}),
        ({"customer_id": "undefined", "email": "NULL", "anonymous_id": "[object Object]"}, {}),
        ({"device_id": "00000000-0000-0000-0000-000000000000", "customer_id": "0", "phone": None, "email": ""}, {}),
        ({"email": "INFO@shop.example"}, {}),
        ({"customer_id": "c-0"}, {"customer_id": "c-0"}),
    ],
)
def test_identities_have_one_normal_form(given: dict[str, str | int | float | None], normal: dict[str, str]) -> None:
    assert Identities("DE", ["email:Info@shop.example"]).normalise(given) == normal


def test_without_a_region_a_national_number_stays_as_it_is() -> None:
    assert Identities().normalise({"phone": "030 123456"}) == {"phone": "030 123456"}


@pytest.mark.parametrize(
    ("item", "anchor"),
    [
        ({"identities": {"anonymous_id": "7f", "email": "A@b.example"}}, b"email:a@b.example"),
        ({"identities": {"device_id": "d", "zendesk_user": "9", "anonymous_id": "7f"}}, b"zendesk_user:9"),
        ({"identities": {"customer_id": "c", "email": "a@b.example"}}, b"customer_id:c"),
        ({"order": {"order_id": "o-1"}, "case": {"case_id": "t", "action": "opened"}}, b"order:erp/o-1"),
        ({"survey": {"survey_id": "s", "kind": "csat", "case_id": "t"}}, b"case:erp/t"),
        ({"identities": {"customer_id": "null"}, "case": {"case_id": "t", "action": "opened"}}, b"case:erp/t"),
    ],
)
def test_the_key_is_the_anchor(item: dict[str, object], anchor: bytes) -> None:
    assert [key for key, _ in run({"type": "x", **item}).touchpoints] == [anchor]


def test_results_say_retry_until_they_are_settled() -> None:
    batch = run({"type": "x", "identities": {"customer_id": "c"}}, {"type": "x"})
    assert [result.status for result in batch.results] == ["retry", "retry"]
    batch.settle()
    assert [result.status for result in batch.results] == ["accepted", "rejected"]


def test_what_is_rejected_is_kept_as_it_came() -> None:
    raw = b'{"id":"t-1","type":"\xff"}'
    ((key, value),) = run(raw).rejected
    record = msgspec.json.decode(value, type=RejectedRecord)
    assert key == b"shop"
    assert (record.code, record.rejected_at, record.room) == ("invalid_unicode", "1970-01-01T00:00:01Z", "ingest")
    assert msgspec.json.decode(f'"{record.body}"'.encode(), type=bytes) == raw


def test_a_mistyped_field_gets_a_hint() -> None:
    (result,) = run({"type": "x", "identites": {"customer_id": "c"}}).results
    assert result.message == "there is no field 'identites' here; did you mean 'identities'?"
    (result,) = run({"type": "x", "stage": "buying"}).results
    assert result.message == "it must be one of advocacy, awareness, consideration, loyalty, purchase"


def test_more_than_a_thousand_are_too_many() -> None:
    with pytest.raises(Rejected, match="too_many_touchpoints"):
        split(b"[" + b",".join([b"1"] * 1001) + b"]")
    with pytest.raises(Rejected, match="too_many_touchpoints"):
        split(b"[NaN," + b",".join([b"1"] * 1000) + b"]")
    with pytest.raises(Rejected, match="too_many_touchpoints"):
        split(b"1\n" * 1001, is_lines=True)
    assert len(split(b"[NaN," + b",".join([b"1"] * 999) + b"]")) == 1000


def test_a_pretty_printed_object_is_one_and_objects_line_by_line_are_many() -> None:
    one = {"type": "x", "order": {"order_id": "o", "items": [{"product_id": "{\n}"}, {"product_id": "q"}]}}
    assert len(split(json.dumps(one, indent=0).encode())) == 1
    assert split(b'\xef\xbb\xbf{"a":1}\n\n{"b":2}\r\n') == [b'{"a":1}', b'{"b":2}']
    assert split(b'{"a":1}\nrubbish\n{"b":2}') == [b'{"a":1}', b"rubbish", b'{"b":2}']
    assert split(b'[{"a":1},NaN,]') == [b'{"a":1}', b"NaN", b""]


def test_gzip_members_follow_one_another() -> None:
    assert unzip(gzip.compress(b"a") + gzip.compress(b"b"), 2) == b"ab"
    with pytest.raises(Rejected, match="body_too_large"):
        unzip(gzip.compress(b"a") * 3, 2)
    with pytest.raises(Rejected, match="invalid_gzip"):
        unzip(gzip.compress(b"a") + b"tail", 100)


def test_made_ids_are_uuids_of_their_version() -> None:
    first = uuid.UUID(timed(1_795_340_000_123_456, lambda size: b"\xff" * size)(0))
    assert (first.version, first.variant, first.int >> 80) == (7, uuid.RFC_4122, 1_795_340_000_123)
    made = uuid.UUID(keyed("shop", "k")(0))
    assert (made.version, made.variant) == (5, uuid.RFC_4122)
    assert len({keyed(source, key)(index) for source in "ab" for key in "kl" for index in (0, 1)}) == 8
