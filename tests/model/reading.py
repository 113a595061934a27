"""Touchpoints as they travel, read into what the model works with: DESIGN.md section 4 (clock, identities) in plain words.

Stage, actor and channel have to be given; the vocabulary is not the model's business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.model import Command, Touchpoint, order_of
from tests.model.clocks import put_right
from tests.model.identity import Marks, anchor_of, key_of, least_copies, persons, rank

ACTIONS = [
    "opened", "queued", "answered", "abandoned", "message", "transferred", "held", "resumed", "ended", "resolved", "reopened",
    "closed", "compensated", "note",
]  # fmt: skip


def microseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def iso(us: int) -> str:
    """RFC 3339 in UTC with a Z."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def read_all(bodies: Iterable[bytes]) -> list[Touchpoint]:
    """The stored copies of these, at the times that count."""
    return put_right(least_copies(map(read, bodies), key_of))


def read(body: bytes) -> Touchpoint:
    """The model's touchpoint of the JSON of one, with its time as sent: what it was read from is another's business."""
    given: dict[str, Any] = json.loads(body)
    received_us = microseconds(given["received_at"])
    original_us = microseconds(given["occurred_at"]) if "occurred_at" in given else received_us
    named = given.get("identities", {})
    devices = [f"{namespace}:{named[namespace]}" for namespace in ("device_id", "anonymous_id") if namespace in named]
    order, case, survey = given.get("order"), given.get("case"), given.get("survey")
    return {
        "source": given["source"],
        "system": given["system"],
        "id": given["id"],
        "type": given["type"],
        "time_us": min(original_us, received_us),
        "original_us": original_us,
        "received_us": received_us,
        "dated": "occurred_at" in given,
        "sent_us": microseconds(given["sent_at"]) if "sent_at" in given else None,
        "device": devices[0] if devices else None,
        "digest": hashlib.sha256(body).digest(),
        "identities": identities(given, order, case or survey),
        "case_rank": ACTIONS.index(case["action"]) + 1 if case else 0,
        "actor": given["actor"],
        "stage": given.get("stage"),
        "order": {"action": "placed"} | order if order else None,
        "case": case,
        "survey": survey,
        "article": given.get("article"),
        "outreach": given.get("outreach"),
        "review": given.get("review"),
        "referral": given.get("referral"),
        "campaign": given.get("campaign"),
        "page": given.get("page"),
        "sentiment": given.get("sentiment"),
        "channel": given.get("channel"),
        "placed_order": order is not None and order.get("action", "placed") == "placed" and "stage" not in given,
    }


def identities(given: dict[str, Any], order: dict[str, Any] | None, case: dict[str, Any] | None) -> list[str]:
    """`namespace:value`, the highest rank first, with the order and the case as SYSTEM/ID."""
    found = [f"{namespace}:{value}" for namespace, value in given.get("identities", {}).items()]
    if order is not None:
        found.append(f"order:{given['system']}/{order['order_id']}")
    if case is not None and "case_id" in case:
        found.append(f"case:{given['system']}/{case['case_id']}")
    return sorted(found, key=rank)


def histories(
    touchpoints: Iterable[Touchpoint], shared_over: int, commands: Iterable[Command] = (), marks: Marks | None = None
) -> dict[str, list[Touchpoint]]:
    """What each person's journeys are told from: the person's own touchpoints, and those of others on the same orders and cases.

    Others' have `own` False. Each tells whose an order or case is: the person's of the first touchpoint about it (the anchor's
    bytes decide between copies of one moment). But a touchpoint that came under several anchors happened once, so only one of the
    copies about an order or case has an effect on it, the one received first, and none if the person has a copy: `amends` are the
    orders and cases that it has an effect on.
    """
    people = persons(touchpoints, shared_over, commands, marks)
    return {root: sorted([*own, *of_others(root, people)], key=place) for root, own in people.items()}


def place(touchpoint: Touchpoint) -> tuple[object, ...]:
    return *order_of(touchpoint), anchor_of(touchpoint)


def of_others(root: str, people: dict[str, list[Touchpoint]]) -> list[Touchpoint]:
    """The touchpoints of others about the orders and cases of this person's touchpoints."""
    known = {thing for touchpoint in people[root] for thing in things(touchpoint)}
    mine = {(touchpoint["source"], touchpoint["id"]) for touchpoint in people[root]}
    theirs = [touchpoint for other, history in people.items() if other != root for touchpoint in history]
    taken, found = set(), []
    for touchpoint in sorted(theirs, key=lambda touchpoint: (touchpoint["received_us"], touchpoint["digest"])):
        pair = touchpoint["source"], touchpoint["id"]
        about = things(touchpoint) & known
        amends = {thing for thing in about if pair not in mine and (pair, thing) not in taken}
        taken |= {(pair, thing) for thing in about}
        if about:
            found.append(touchpoint | {"own": False, "amends": amends})
    return found


def things(touchpoint: Touchpoint) -> set[str]:
    """The order and the case that a touchpoint names."""
    return {identity for identity in touchpoint["identities"] if identity.startswith(("order:", "case:"))}


def whose(people: dict[str, list[Touchpoint]]) -> dict[str, str]:
    """Whose each order and case is (a survey about a case is no part of it)."""
    first: dict[str, tuple[tuple[object, ...], str]] = {}
    for root, own in people.items():
        for touchpoint in own:
            for thing in things(touchpoint):
                candidate = (place(touchpoint), root)
                if touchpoint["case"] is not None or not thing.startswith("case:"):
                    first[thing] = min(first.get(thing, candidate), candidate)
    return {thing: root for thing, (_, root) in first.items()}
