"""A person to erase in a running installation, and the way to wait until it is done."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from services.cli.client import Service
from tests.parts.installation import KEYS, Installation

KEY = next(iter(KEYS.values()))
ANNA = [
    b'{"id":"a1","type":"product_viewed","identities":{"anonymous_id":"visitor-secret"},"page":{"title":"page-secret"}}',
    b'{"id":"a2","type":"order_completed","identities":{"customer_id":"anna-secret","anonymous_id":"visitor-secret"},'
    b'"order":{"order_id":"order-secret","amount":"10.00","currency":"EUR"}}',
]
Erased = dict[str, Any]


def sent(installation: Installation, touchpoints: Sequence[bytes]) -> str:
    """The token of these touchpoints."""
    with closing(installation.ingests[0].service()) as service:
        return service.send(KEY, touchpoints).token


def erased(service: Service, erasing: Erased) -> Erased:
    """The receipt, once the erasure is done; each look waits for the process, none sleeps for longer than it takes to answer."""
    found: Erased = service.get(f"/v1/erasures/{erasing['id']}", after=erasing["token"])
    while not found["done"]:
        found = service.get(f"/v1/erasures/{erasing['id']}")
    return found
