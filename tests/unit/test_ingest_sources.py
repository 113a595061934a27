"""Sources, write keys, and the key that embedded starts with."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from schemas import topics
from services.ingest.first_key import first_key
from services.ingest.main import build
from services.ingest.store.sources import KEY, Source, Sources, new_key, parse_write_keys
from services.shared.bus import TopicSpec
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import load
from services.shared.db import Database, sqlite_url
from services.shared.errors import Misconfigured, Rejected, Unavailable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(sqlite_url(tmp_path / "ingest.db"), pool_size=1)
    yield opened
    opened.close()


@pytest.fixture
def sources(database: Database) -> Sources:
    return Sources(database, lambda: 7)


def test_a_key_finds_its_source_until_it_is_revoked(sources: Sources) -> None:
    key = sources.add(Source("shop", "erp", ("https://shop.example",)))
    assert KEY.fullmatch(key)
    assert sources.find(key) == Source("shop", "erp", ("https://shop.example",))
    assert sources.find(new_key()) is None
    assert sources.revoke("shop") == 1
    assert sources.find(key) is None
    sources.add(Source("shop", "erp"), key)
    assert sources.find(key) is None


def test_a_source_is_trusted_when_somebody_says_so(sources: Sources) -> None:
    key, crm = sources.add(Source("shop", "erp")), sources.add(Source("crm", "crm", is_trusted=True))
    assert [source.is_trusted for source in (sources.find(key), sources.find(crm)) if source is not None] == [False, True]
    sources.trust("shop", True)
    sources.trust("crm", False)
    assert [(row.source.name, row.source.is_trusted) for row in sources.list()] == [("crm", False), ("shop", True)]
    assert sources.find(key) == Source("shop", "erp", is_trusted=True)
    with pytest.raises(Rejected, match="unknown_source"):
        sources.trust("nobody", True)


def test_a_second_key_changes_nothing_else(sources: Sources) -> None:
    first = sources.add(Source("shop", "erp"))
    second = sources.add(Source("shop", "other"))
    assert sources.find(first) == sources.find(second) == Source("shop", "erp")
    ((source, created_us, keys),) = sources.list()
    assert (source.name, created_us, keys) == ("shop", 7, 2)
    assert sources.revoke("shop") == 2
    assert [row.keys for row in sources.list()] == [0]


def test_what_another_process_did_is_seen_after_a_refresh(sources: Sources, database: Database) -> None:
    other = Sources(database, lambda: 8)
    key = other.add(Source("app", "app"))
    assert sources.find(key) is None
    sources.refresh()
    assert sources.find(key) == Source("app", "app")


def test_no_key_is_stored_as_it_is(sources: Sources, tmp_path: Path) -> None:
    key = sources.add(Source("shop", "shop"))
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_database_that_is_away_takes_no_known_key_away(tmp_path: Path) -> None:
    gone = Database(sqlite_url(tmp_path / "no" / "folder" / "ingest.db"), pool_size=1)
    key = "c" + "k" * 24
    sources = Sources(gone, lambda: 7, parse_write_keys(f"shop={key}"))
    with pytest.raises(Unavailable):
        sources.refresh()
    assert sources.find(key) == Source("shop", "shop")
    with pytest.raises(Unavailable):
        sources.ping()
    gone.close()


def test_a_pair_of_write_keys_may_be_trusted() -> None:
    keys = ["c" + letter * 24 for letter in "kl"]
    found = parse_write_keys(f"shop={keys[0]},crm:trusted={keys[1]}")
    assert sorted(found.values()) == [Source("crm", "crm", is_trusted=True), Source("shop", "shop")]


def test_names_and_unknown_sources_are_refused(sources: Sources) -> None:
    with pytest.raises(Rejected, match="invalid_source"):
        sources.add(Source("a b", "x"))
    with pytest.raises(Rejected, match="unknown_source"):
        sources.revoke("nobody")


@pytest.mark.parametrize(
    "text",
    [
        "shop",
        "shop=",
        "shop=short",
        "a b=c000000000000000000000000",
        "shop=c00000000000000000000000:",
        "shop:other=c000000000000000000000000",
    ],
)
def test_a_malformed_pair_of_write_keys_stops_the_start(text: str) -> None:
    with pytest.raises(Misconfigured, match="WAYPOST_WRITE_KEYS"):
        parse_write_keys(text)


def test_the_first_key_is_made_once_and_is_its_owners_alone(sources: Sources, tmp_path: Path) -> None:
    made = first_key(tmp_path, sources)
    again = first_key(tmp_path, sources)
    assert (made.is_new, again.is_new, made.key) == (True, False, again.key)
    assert sources.find(made.key) == Source("default", "default")
    file = tmp_path / "write-key"
    assert file.read_text() == made.key + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "write-key" in path.name] == ["write-key"]


def test_a_revoked_first_key_stays_revoked_at_the_next_start(sources: Sources, tmp_path: Path) -> None:
    key = first_key(tmp_path, sources).key
    sources.revoke("default")
    assert sources.find(first_key(tmp_path, sources).key) is None
    assert first_key(tmp_path, sources).key == key


def test_a_damaged_key_file_stops_the_start(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "write-key").write_text("hello")
    with pytest.raises(Misconfigured, match="write-key"):
        first_key(tmp_path, sources)


def test_the_room_makes_a_first_key_unless_keys_are_set(tmp_path: Path) -> None:
    bus = EmbeddedBus(tmp_path / "bus.db")
    bus.create([TopicSpec(topics.TOUCHPOINTS, 1), TopicSpec(topics.REJECTED, 1)])
    key = "c" + "k" * 24
    fresh = build(load(data=tmp_path), bus, CollectorRegistry(), lambda: 7)
    given = build(load(data=tmp_path, write_keys=f"shop={key}"), bus, CollectorRegistry(), lambda: 7)
    assert fresh.first_key is not None
    assert given.first_key is None
    assert given.sources.find(key) == Source("shop", "shop")
    assert [check.name for check in fresh.checks] == ["bus", "ingest database", "ingest consumer"]
    for room in (fresh, given):
        for check in room.checks:
            check.run()
        room.close()
    bus.close()
