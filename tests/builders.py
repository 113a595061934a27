"""Touchpoints as they travel on the topic `touchpoints`, built in one line."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.commands import Action, Command
from schemas.times import DAY_US, HOUR_US, MINUTE_US, format_time, parse_time_us
from schemas.touchpoint import Accepted, Case, Order, Survey
from schemas.vocabulary import load
from services.journey.consumer import derivation
from services.journey.store.touchpoints import Incoming

__all__ = [
    "DAY_US",
    "HOUR_US",
    "MINUTE_US",
    "START_US",
    "body",
    "case",
    "erase",
    "incoming",
    "link",
    "order",
    "read",
    "release",
    "survey",
    "touchpoint",
    "unlink",
]

START_US = parse_time_us("2026-01-10T12:00:00Z")
"""Where the histories of tests begin, unless they say otherwise: in a month's first half, so that a day later is the same month."""
read = derivation(load())
"""What a touchpoint's bytes say by themselves."""


def touchpoint(id: str, at_us: int, *identities: str, **fields: Any) -> Accepted:
    """A customer's touchpoint of a type without a stage, `at_us` after START_US, received at once.

    `identities` are `namespace:value`. `received_us` and `sent_us` count from START_US as well; other fields are those of `Accepted`.
    """
    received_us = START_US + fields.pop("received_us", at_us)
    sent_us = fields.pop("sent_us", None)
    given = {"type": "noted", "source": "web", "system": "shop", "channel": "web", "actor": "customer", **fields}
    return Accepted(
        id=id,
        occurred_at=format_time(START_US + at_us),
        received_at=format_time(received_us),
        sent_at=format_time(START_US + sent_us) if sent_us is not None else None,
        identities={namespace: value for namespace, _, value in (identity.partition(":") for identity in identities)},
        **given,
    )


def order(order_id: str, action: Any = "placed", amount: str | None = "10.00") -> Order:
    return Order(order_id=order_id, action=action, amount=amount, currency="EUR")


def case(case_id: str, action: Any = "message", **fields: Any) -> Case:
    return Case(case_id=case_id, action=action, **fields)


def survey(case_id: str | None = None, score: int | None = 9) -> Survey:
    return Survey(survey_id="s", kind="nps", score=score, case_id=case_id)


def link(one: str, other: str, at_us: int = 0, *, action: Action = "link", id: str | None = None) -> Command:
    """A link of two identities, decided `at_us` after START_US."""
    name = id or f"{action} {one} {other} {at_us}"
    return Command(id=name, action=action, identities=[one, other], by="ann", at=format_time(START_US + at_us))


def unlink(one: str, other: str, at_us: int = 0) -> Command:
    return link(one, other, at_us, action="unlink")


def release(name: str, at_us: int = 0) -> Command:
    """A release of whom an identity leads to, decided `at_us` after START_US."""
    at = format_time(START_US + at_us)
    return Command(id=f"release {name} {at_us}", action="release", identities=[name], by="ann", at=at)


def erase(at_us: int, *identities: str) -> Command:
    """An erasure of whom the first of these identities stands for, `at_us` after START_US."""
    at = format_time(START_US + at_us)
    return Command(id=f"erase {identities[0]} {at_us}", action="erase", identities=list(identities), by="ann", at=at)


def body(accepted: Accepted) -> bytes:
    """The bytes on the bus."""
    return msgspec.json.encode(accepted)


def incoming(raw: bytes) -> Incoming:
    """The same as journey's writer takes it."""
    return Incoming(read(raw), raw)
