"""What a source's personal-data rules name is seen by nobody: not on the bus, not among rejected records; all else stays as it was."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas import topics
from schemas.normal import Identities
from schemas.rejected import MAX_TEXT
from services.ingest.domain.accept import Arrival, Batch, accept
from services.ingest.domain.redact import Action, Redaction, parse_rules
from services.ingest.main import build
from services.ingest.personal_data import PersonalData
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import load
from services.shared.errors import Misconfigured
from tests.flow.ingest_room import KEY, Ingest, all_rows, publish

SECRET = "Zz-Secret-77@hush.example"
RULES: Mapping[str, Action] = {
    "identities.email": "hash",
    "properties.card": "drop",
    "properties.people.*.name": "hash",
    "/properties/a.b~1c": "drop",
    "note": "drop",
    "page": "hash",
    "*.hidden": "drop",
}
PLACES = [
    ["identities", "email"],
    ["properties", "card"],
    ["properties", "card", "deep", "er"],
    ["properties", "people", 0, "name"],
    ["properties", "people", 1, "name"],
    ["properties", "a.b/c"],
    ["note"],
    ["page", "url"],
    ["page", "title"],
    ["order", "hidden"],
    ["properties", "hidden"],
]
IDENTITIES = Identities("DE")
REDACTION = Redaction(parse_rules(RULES), b"0123456789abcdef", IDENTITIES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abpnote.", max_size=5), inner, max_size=3),
)
ITEMS = st.dictionaries(st.sampled_from(["type", "id", "order", "case", "oops"]), JSON).map(
    lambda some: {"type": "x", "identities": {"customer_id": "c"}, "properties": {}, **some}
)


def planted(item: dict[str, Any], places: list[list[Any]]) -> dict[str, Any]:
    """The secret at these places."""
    whole: dict[str, Any] = json.loads(json.dumps(item))
    for place in places:
        node: Any = whole
        for step, following in zip(place, [*place[1:], None], strict=True):
            if following is None:
                node[step] = SECRET
                break
            wanted = list if isinstance(following, int) else dict
            if isinstance(node, dict) and not isinstance(node.get(step), wanted):
                node[step] = [{}, {}] if wanted is list else {}
            node = node[step]
    return whole


def run(raw: bytes, redact: Redaction | None = REDACTION) -> Batch:
    return accept([raw], Arrival("shop", "shop", 0, lambda _: "made", False, redact), IDENTITIES)


def published(batch: Batch) -> str:
    """Everything that goes onto the bus for an item, bodies decoded."""
    text = ""
    for _, value in [*batch.touchpoints, *batch.rejected, *batch.commands]:
        said = json.loads(value)
        body = base64.b64decode(said.pop("body", "")).decode(errors="replace") if "rejected_at" in said else ""
        text += json.dumps(said, ensure_ascii=False) + body
    return text


@given(ITEMS, st.lists(st.sampled_from(PLACES), min_size=1, max_size=4), st.booleans())
def test_what_a_rule_names_is_nowhere_on_the_bus_whether_the_item_is_good_or_not(
    item: dict[str, Any], places: list[list[Any]], ascii_only: bool
) -> None:
    raw = json.dumps(planted(item, places), ensure_ascii=ascii_only, indent=1).encode(errors="replace")
    batch = run(raw)
    assert len(batch.results) == 1
    assert SECRET.lower() not in published(batch).lower()
    assert "hush" not in str(batch.results[0].message)


@given(ITEMS, st.lists(st.sampled_from(PLACES), max_size=4))
def test_the_rules_are_idempotent_and_touch_nothing_else(item: dict[str, Any], places: list[list[Any]]) -> None:
    raw = json.dumps(planted(item, places)).encode()
    once = REDACTION(raw)
    assert once.is_readable
    assert REDACTION(once.raw).raw == once.raw
    without = json.loads(json.dumps(item))
    if not places:
        for name in ("note", "page"):
            without.pop(name, None)
        if not any("hidden" in value for value in without.values() if isinstance(value, dict)):
            assert json.loads(once.raw) == without


@pytest.mark.parametrize("number", ["1.50", "1e3", "123456789012345678901234567890", "-0.0", "0.1000"])
def test_numbers_that_no_rule_names_stay_as_they_were_written(number: str) -> None:
    raw = f'{{"properties": {{"card": 1, "sum": {number}, "list": [ 1 ,2]}}}}'.encode()
    assert f'"sum":{number},"list":[ 1 ,2]'.encode() in REDACTION(raw).raw.replace(b'": ', b'":')


@pytest.mark.parametrize("spelt", ["Ann@A.Example", " ann@a.example ", "ann@a.example"])
def test_one_address_is_one_hash_however_it_is_spelt(spelt: str) -> None:
    (record,) = run(json.dumps({"type": "x", "identities": {"email": spelt}}).encode()).touchpoints
    (hashed,) = json.loads(record.value)["identities"].values()
    assert hashed == REDACTION.hashed("email", "ann@a.example")
    assert record.key == f"email:{hashed}".encode()
    other = Redaction(parse_rules(RULES), b"another key of 16", IDENTITIES)
    assert other.hashed("email", "ann@a.example") != hashed


def test_who_stands_for_nobody_still_does() -> None:
    batch = run(b'{"type": "x", "identities": {"email": "undefined"}}')
    assert [result.code for result in batch.results] == ["no_identity"]


@given(st.binary(max_size=30) | st.sampled_from([b'{"note": "', b'{"note":1,"note":2}', b'{"note": "\\ud800"}', b"[" * 5_000]))
@example(b'{"identities": {"email": "zz-secret-77@hush.example"}, "type": "x"')
def test_bytes_that_nobody_can_read_are_told_by_size_and_digest_alone(raw: bytes) -> None:
    batch = run(raw)
    if REDACTION(raw).is_readable:
        return
    (record,) = batch.rejected
    said = json.loads(record.value)
    assert (said.get("body"), said["size"], said["sha256"]) == (None, len(raw), hashlib.sha256(raw).hexdigest())
    assert len(said["message"]) <= MAX_TEXT
    (plain,) = run(raw, None).rejected
    assert base64.b64decode(json.loads(plain.value)["body"]) == raw
    assert json.loads(plain.value)["code"] == said["code"]


@pytest.mark.parametrize(
    ("rules", "key", "wrong"),
    [
        ({"shop": {"identities.email": "hash"}}, "short", "PERSONAL_DATA_KEY"),
        ({"shop": {"a..b": "drop"}}, "", "a..b"),
        ({"shop": {"": "drop"}}, "", "''"),
        ({"shop": {"a": "drop", "a.b": "drop"}}, "", "a.b"),
        ({"shop": {"a.b": "drop", "a": "drop"}}, "", "'a'"),
        ({"shop": {"a.b": "drop", "/a/b": "drop"}}, "", "/a/b"),
    ],
)
def test_rules_that_make_no_sense_stop_the_start(rules: dict[str, dict[str, Action]], key: str, wrong: str) -> None:
    with pytest.raises(Misconfigured, match=wrong):
        PersonalData(rules, key, IDENTITIES)


def test_the_rules_of_every_source_hold_beside_its_own() -> None:
    data = PersonalData({"*": {"a": "drop", "b": "drop"}, "shop": {"c": "drop", "b": "hash"}}, "k" * 16, IDENTITIES)
    raw = b'{"a": 1, "b": 2, "c": 3}'
    shop, app = data.of("shop"), data.of("app")
    assert shop is not None
    assert app is not None
    assert json.loads(shop(raw).raw).keys() == {"b"}
    assert json.loads(app(raw).raw) == {"c": 3}
    assert PersonalData({"shop": {"a": "drop"}}, "", IDENTITIES).of("app") is None


def test_no_file_of_an_installation_holds_what_a_rule_names(tmp_path: Path) -> None:
    settings = {"personal_data": {"shop": dict(RULES)}, "personal_data_key": "k" * 16, "write_keys": f"shop={KEY}"}
    items = [
        {
            "type": "x",
            "identities": {"customer_id": "c", "email": SECRET},
            "properties": {"card": SECRET, "keep": "kept-as-it-is"},
        },
        {"type": "x", "identities": {"email": SECRET}, "note": SECRET, "oops": "refused-as-it-is"},
        {"type": 7, "identities": {"email": SECRET}},
    ]
    with closing(Ingest(tmp_path, **settings)) as ingest:
        ingest.room.start()
        answer = ingest.post(items).json()
        assert (answer["accepted"], answer["rejected"]) == (1, 2)
        rows = all_rows(ingest, answer["token"])
        assert [json.loads(row["body"]).get("oops") for row in reversed(rows)].count("refused-as-it-is") == 1
        cut = ingest.post(b'[{"type": "x", "note": "' + SECRET.encode() + b'",}]').json()
        (row,) = all_rows(ingest, cut["token"], code="invalid_json")
        assert (row["body"], row["body_base64"], row["size"]) == (None, None, len(SECRET) + 26)
        assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert any(b"kept-as-it-is" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert b"refused-as-it-is" in b"".join(base64.b64decode(kept.body or "") for kept in ingest.rejected())


def test_an_erasure_finds_what_the_rules_have_hashed(tmp_path: Path) -> None:
    settings = {"personal_data": {"*": {"identities.email": "hash"}}, "personal_data_key": "k" * 16, "write_keys": f"shop={KEY}"}
    with closing(Ingest(tmp_path, **settings)) as ingest:
        ingest.room.start()
        token = ingest.post(
            [{"type": "x", "identities": {"email": email}, "oops": 1} for email in (SECRET, "bob@b.example")]
        ).json()
        assert len(all_rows(ingest, token["token"])) == 2
        command = {"id": "k-1", "action": "erase", "identities": [f"email:{SECRET}"], "by": "sam", "at": "2027-01-01T00:00:00Z"}
        erased = publish(ingest, json.dumps(command).encode(), topic=topics.COMMANDS)
        assert len(all_rows(ingest, erased)) == 1


def test_the_settings_are_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_PERSONAL_DATA", '{"shop": {"identities.email": "hash"}}')
    with closing(EmbeddedBus(tmp_path / "bus.db")) as bus, pytest.raises(Misconfigured, match="PERSONAL_DATA_KEY"):
        build(load(data=tmp_path), bus, CollectorRegistry(), lambda: 7)
    monkeypatch.setenv("WAYPOST_PERSONAL_DATA", '{"shop": {"identities.email": "keep"}}')
    with pytest.raises(Misconfigured, match="WAYPOST_PERSONAL_DATA_SHOP"):
        load(data=tmp_path)


@pytest.mark.parametrize(
    ("named", "left"),
    [
        (SECRET, SECRET),
        (f"email:{SECRET}", f"email:{REDACTION.hashed('email', SECRET)}"),
        (f" email: {SECRET.upper()}", f"email:{REDACTION.hashed('email', SECRET)}"),
        ("customer_id:c", "customer_id:c"),
        (42, 42),
        (None, None),
    ],
)
def test_identities_that_are_named_elsewhere_follow_the_same_rules(named: object, left: object) -> None:
    alias = {"type": "alias", "identities": {"customer_id": "c"}, "properties": {"x": [1], "previous_id": named}}
    assert json.loads(REDACTION(json.dumps(alias).encode()).raw) == {**alias, "properties": {"x": [1], "previous_id": left}}
    referred = {"type": "referred", "properties": {"previous_id": named}, "referral": {"code": "r", "referred_by": named}}
    assert json.loads(REDACTION(json.dumps(referred).encode()).raw) == {
        **referred,
        "referral": {"code": "r", "referred_by": left},
    }
    escaped = json.dumps(alias).replace("previous_id", "previous\\u005fid").encode()
    assert json.loads(REDACTION(escaped).raw)["properties"]["previous_id"] == left


def test_a_name_in_a_namespace_that_is_dropped_is_dropped_as_well() -> None:
    redaction = Redaction(parse_rules({"identities.anonymous_id": "drop"}), b"0123456789abcdef", IDENTITIES)
    alias = {"type": "alias", "identities": {"customer_id": "c"}, "properties": {"previous_id": "7f3a"}}
    assert json.loads(redaction(json.dumps(alias).encode()).raw)["properties"] == {"previous_id": None}
