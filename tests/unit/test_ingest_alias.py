"""What an alias says, and who is believed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.commands import Command
from schemas.normal import Identities
from schemas.times import parse_time_us
from schemas.touchpoint import Accepted
from services.ingest.domain.accept import Arrival, Batch, accept

NOW_US = parse_time_us("2026-03-01T10:00:00Z")


def run(*aliases: dict[str, Any], trusted: bool = True) -> Batch:
    items = [json.dumps({"id": "t-1", "type": "alias", **alias}).encode() for alias in aliases]
    return accept(items, Arrival("crm", "crm", NOW_US, lambda index: f"made-{index}", trusted), Identities())


def alias(previous: object, **identities: str) -> dict[str, Any]:
    return {"identities": identities, "properties": {"previous_id": previous}}


def travelling(batch: Batch) -> tuple[str, str | None]:
    """The anchor and the previous identity of the only touchpoint."""
    ((key, value),) = batch.touchpoints
    return key.decode(), msgspec.json.decode(value, type=Accepted).previous


@pytest.mark.parametrize(
    ("previous", "identities", "anchor", "named"),
    [
        ("7f3a", {"customer_id": "c-1"}, "customer_id:c-1", "anonymous_id:7f3a"),
        (42, {"customer_id": "c-1"}, "customer_id:c-1", "anonymous_id:42"),
        (" email: A@B.c ", {"customer_id": "c-1"}, "customer_id:c-1", "email:a@b.c"),
        ("Urn:7f3a", {"customer_id": "c-1"}, "customer_id:c-1", "anonymous_id:Urn:7f3a"),
        ("email:a@b.c", {"anonymous_id": "7f3a"}, "email:a@b.c", "email:a@b.c"),
        ("old", {"anonymous_id": "new"}, "anonymous_id:new", "anonymous_id:old"),
        ("customer_id:c-1", {"anonymous_id": "7f3a"}, "customer_id:c-1", "customer_id:c-1"),
        ("customer_id:c-1", {}, "customer_id:c-1", "customer_id:c-1"),
        ("7f3a", {"anonymous_id": "7f3a"}, "anonymous_id:7f3a", None),
        ("customer_id:c-1", {"customer_id": "c-1"}, "customer_id:c-1", None),
        (None, {"customer_id": "c-1"}, "customer_id:c-1", None),
        ("undefined", {"customer_id": "c-1"}, "customer_id:c-1", None),
    ],
)
def test_a_previous_identity_is_one_of_the_touchpoints(
    previous: object, identities: dict[str, str], anchor: str, named: str | None
) -> None:
    batch = run(alias(previous, **identities))
    assert travelling(batch) == (anchor, named)
    assert batch.commands == []


def test_of_two_customers_a_trusted_source_joins_one_to_the_other() -> None:
    batch = run(alias("customer_id:old", customer_id="new") | {"occurred_at": "2026-02-01T10:00:00+01:00"})
    assert travelling(batch) == ("customer_id:new", "customer_id:old")
    ((key, value),) = batch.commands
    command = msgspec.json.decode(value, type=Command)
    assert key == b"customer_id:new"
    assert (command.action, command.identities) == ("link", ["customer_id:new", "customer_id:old"])
    assert (command.by, command.reason, command.at) == ("crm", "alias t-1", "2026-02-01T09:00:00Z")


def test_a_source_that_is_not_trusted_only_says_it() -> None:
    batch = run(alias("customer_id:old", customer_id="new"), trusted=False)
    assert travelling(batch) == ("customer_id:new", "customer_id:old")
    assert (batch.commands, batch.outcomes) == ([], ["accepted"])


def test_the_same_alias_gives_the_same_command_and_another_one_another() -> None:
    first, again, other, swapped = (
        msgspec.json.decode(run(one).commands[0].value, type=Command)
        for one in (
            alias("customer_id:old", customer_id="new"),
            alias("customer_id: old", customer_id="new"),
            alias("customer_id:old", customer_id="new") | {"id": "t-2"},
            alias("customer_id:older", customer_id="new"),
        )
    )
    assert first == again
    assert len({first.id, other.id, swapped.id}) == 3


def test_an_alias_of_the_future_counts_from_its_receipt() -> None:
    batch = run(alias("customer_id:old", customer_id="new") | {"occurred_at": "2099-01-01T00:00:00Z"})
    assert msgspec.json.decode(batch.commands[0].value, type=Command).at == "2026-03-01T10:00:00Z"


def test_other_types_may_have_a_previous_id_as_well() -> None:
    batch = run({"type": "page_viewed", **alias(["7f3a"], customer_id="c-1")})
    assert travelling(batch) == ("customer_id:c-1", None)


def test_nobody_posts_what_ingest_adds() -> None:
    batch = run({"previous": "customer_id:c-2", **alias("7f3a", customer_id="c-1")})
    assert batch.results[0].pointer == "/previous"
