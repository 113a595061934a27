"""Who a touchpoint speaks of: namespaces, their ranks, a touchpoint's identities and its anchor.

An identity is `namespace:value`. Namespaces are ranked: customer_id, email, phone, any other named one, anonymous_id,
device_id, order, case. All but customer_id are handles. `order` and `case` are made from the facets, as SYSTEM/ID, so that a
message that knows only its ticket finds the person.
"""

from __future__ import annotations

import re

from schemas.touchpoint import Case, Order, Survey

NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
MAX_VALUE = 200
CUSTOMER = "customer_id"
RANKS = {CUSTOMER: 0, "email": 1, "phone": 2, "anonymous_id": 4, "device_id": 5, "order": 6, "case": 7}
OTHER_RANK = 3
RESERVED = frozenset({"order", "case", "person_id"})
"""Namespaces that a sender may not use: two are made from the facets, one is Waypost's own."""


def rank_key(identity: str) -> tuple[int, str]:
    """Sorts identities from the highest rank to the lowest; ties (other named ones) by their bytes.

    UTF-8 and code points sort alike, so plain text comparison is byte order.
    """
    namespace, _, _ = identity.partition(":")
    return RANKS.get(namespace, OTHER_RANK), identity


def is_customer(identity: str) -> bool:
    return identity.startswith("customer_id:")


def ranked_identities(
    identities: dict[str, str],
    system: str,
    order: Order | None,
    case: Case | None,
    survey: Survey | None,
    previous: str | None = None,
) -> list[str]:
    """All identities of one touchpoint, the highest rank first; the first is its anchor. Empty if it has none.

    `previous` is what an alias names; it counts unless that would make two customers of one touchpoint.
    """
    found = [f"{namespace}:{value}" for namespace, value in identities.items()]
    if previous is not None and not (is_customer(previous) and CUSTOMER in identities):
        found.append(previous)
    if order is not None:
        found.append(f"order:{system}/{order.order_id}")
    case_id = case.case_id if case is not None else survey.case_id if survey is not None else None
    if case_id is not None:
        found.append(f"case:{system}/{case_id}")
    if len(found) > 1:
        found.sort(key=rank_key)
    return found
