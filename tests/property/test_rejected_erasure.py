"""Who is erased is mentioned in no rejected record, in whatever order records and commands come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.times import DAY_US, format_time
from services.ingest.domain.kept import Kept
from services.ingest.domain.mentions import mentions, sought, when
from services.ingest.migrations import HISTORY
from services.ingest.store.erased import Erase, Erased
from services.ingest.store.rejected import RejectedRecords, Wanted
from services.shared.db import Database, sqlite_url
from services.shared.migrating import migrate

NOW_US = 1_795_340_000_000_000
NAMES = ["email:ann@a.example", "customer_id:c-4242", "customer_id:c", "phone:+4930123456", "auth:auth0|77aa99", "case:desk/9"]
SPELT = {
    "email:ann@a.example": [
        "ann@a.example",
        " Ann@A.Example ",
        "Ann <ann@a.example>",
        "https://a.example/?to=ann%40a.example&x=1",
    ],
    "customer_id:c-4242": ["c-4242", "C-4242", "customer_id:c-4242", "hello c-4242!"],
    "phone:+4930123456": ["+4930123456", "+49 (0)30 123456", "030 123456", "call 030/123456 now"],
    "auth:auth0|77aa99": ["auth0|77aa99"],
}
KEYS = st.sampled_from(["identities", "note", "userId", "e-mail", "x"])
PLAIN = st.none() | st.booleans() | st.integers(-99, 99) | st.text("xyz äß", max_size=8)


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The leaf somewhere in arrays and objects with other things in them."""
    return st.recursive(
        leaf,
        lambda inner: (
            st.tuples(st.lists(PLAIN, max_size=2), inner).map(lambda parts: [*parts[0], parts[1]])
            | st.builds(lambda other, key, value: {**other, key: value}, st.dictionaries(KEYS, PLAIN, max_size=2), KEYS, inner)
        ),
        max_leaves=4,
    )


def kept(body: bytes, at_us: int = NOW_US, key: bytes | None = None, system: str | None = None, id: str = "") -> Kept:
    return Kept(id, at_us, "shop", "c", "m", "", "ingest", None, None, None, key, 0, None, system, body, len(body), "0" * 64)


def finds(name: str, record: Kept) -> bool:
    return bool(sought(name) & mentions(record))


@given(st.sampled_from(sorted(SPELT)).flatmap(lambda name: st.tuples(st.just(name), nested(st.sampled_from(SPELT[name])))))
def test_a_value_is_found_wherever_it_stands_and_however_it_is_written(case: tuple[str, Any]) -> None:
    name, value = case
    for body in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1), json.dumps(value)[:-1] + ' "'):
        if name != "auth:auth0|77aa99" or body[-1] != '"':
            assert finds(name, kept(body.encode())), body
    assert not finds("email:bob@b.example", kept(json.dumps(value).encode()))


@given(nested(PLAIN))
def test_who_is_not_there_is_not_found(value: Any) -> None:
    record = kept(json.dumps(value).encode())
    assert not any(finds(name, record) for name in NAMES)


@pytest.mark.parametrize(
    ("name", "body", "system"),
    [
        ("customer_id:c", {"identities": {"customer_id": "c"}}, None),
        ("customer_id:c", {"userId": "c"}, None),
        ("customer_id:7", {"identities": {"customer_id": 7.0}}, None),
        ("customer_id:c", {"referral": {"referred_by": "customer_id:c"}}, None),
        ("anonymous_id:c", {"deep": [{"anonymousId": " C "}]}, None),
        ("case:desk/9", {"case": {"case_id": "9"}}, "desk"),
        ("case:desk/9", {"system": "desk", "survey": {"case_id": 9}}, None),
        ("order:shop/o-1", {"order": {"order_id": "o-1"}}, "shop"),
        ("email:a@b.c", {"a@b.c": 1, "email": "A@B.c"}, None),
    ],
)
def test_a_short_value_is_found_under_its_own_name_alone(name: str, body: Any, system: str | None) -> None:
    assert finds(name, kept(json.dumps(body).encode(), system=system))
    value = name.rpartition("/")[2].rpartition(":")[2]
    assert not finds(name, kept(json.dumps({"quantity": value}).encode(), system="other"))


def test_the_key_of_a_record_counts_and_so_do_bytes_that_are_no_json() -> None:
    assert finds("customer_id:c", kept(b"\xff", key=b"customer_id:c"))
    assert finds("email:ann@a.example", kept(b'\xff\xfe {"email": "Ann@A.example", '))
    assert finds("auth:auth0|77aa99", kept(b'{"auth": "auth0|77aa99", '))
    assert not finds("customer_id:c", kept(b"c", key=b"\xff"))


def test_a_record_is_about_the_time_that_it_says_but_never_a_later_one_than_it_was_refused() -> None:
    past = format_time(NOW_US - DAY_US)
    assert when(kept(json.dumps({"occurred_at": past}).encode())) == NOW_US - DAY_US
    assert when(kept(json.dumps({"timestamp": past}).encode())) == NOW_US - DAY_US
    assert when(kept(json.dumps({"occurred_at": format_time(NOW_US + DAY_US)}).encode())) == NOW_US
    assert when(kept(b'{"occurred_at": "yesterday"}')) == when(kept(b"\xff")) == NOW_US


RECORDS = [
    kept(json.dumps({"n": n, "identities": {"email": email}, "occurred_at": format_time(NOW_US + day * DAY_US)}).encode(), at, id=f"{n}")
    for n, (email, day, at) in enumerate(
        (email, day, NOW_US + later * DAY_US)
        for email in ("ann@a.example", "Bob@b.example")
        for day in (-2, 0, 2)
        for later in (0, 3)
    )
]  # fmt: skip
ERASES = [
    Erase("k-1", ["email:ann@a.example"], NOW_US - DAY_US),
    Erase("k-2", ["email:ann@a.example"], NOW_US + DAY_US),
    Erase("k-3", ["email:bob@b.example", "customer_id:none"], NOW_US),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with closing(Database(sqlite_url(tmp_path_factory.mktemp("ingest") / "ingest.db"), durable=False)) as opened:
        migrate(opened, HISTORY)
        yield opened


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    happenings=st.permutations([*RECORDS, *ERASES]).flatmap(
        lambda order: st.integers(0, len(order)).map(lambda count: order[:count])
    ),
    sizes=st.lists(st.integers(1, 4), min_size=1),
)
@example(happenings=[*ERASES, *RECORDS], sizes=[20])
@example(happenings=[*RECORDS, *ERASES, *ERASES, *RECORDS], sizes=[1])
def test_what_is_left_and_how_much_is_counted_does_not_depend_on_the_order(
    database: Database, happenings: list[Kept | Erase], sizes: list[int]
) -> None:
    records, erased = RejectedRecords(database), Erased(database)
    with database.transaction() as tx:
        for table in ("rejected", "erasure", "erased"):
            database.execute(tx, f"DELETE FROM {table}")
    left, place = list(happenings), 0
    while left:
        size = sizes[place % len(sizes)]
        batch, left, place = left[:size], left[size:], place + 1
        with database.transaction() as tx:
            erased.lock(tx, erasing=True)
            records.put(tx, erased.keepable(tx, [one for one in batch if isinstance(one, Kept)]))
            for one in batch:
                if isinstance(one, Erase):
                    erased.erase(tx, one)
    came = {one.id: one for one in happenings if isinstance(one, Kept)}
    erases = [one for one in happenings if isinstance(one, Erase)]
    expected = {
        id for id, one in came.items()
        if not any(when(one) <= erase.until_us and any(name in (one.body or b"").decode().lower() for name in _values(erase)) for erase in erases)
    }  # fmt: skip
    with database.transaction() as tx:
        found = {listed.kept.id for listed in records.page(tx, Wanted(), None, 100)}
        unsaid = erased.unsaid(tx)
        erased.note_said(tx, unsaid)
        assert erased.unsaid(tx) == []
    assert found == expected
    assert {one.command for one in unsaid} == {erase.command for erase in erases}
    if len(happenings) == len(set(map(id, happenings))):
        assert sum(one.removed for one in unsaid) == len(came) - len(expected)


def _values(erase: Erase) -> list[str]:
    return [name.partition(":")[2] for name in erase.names]
