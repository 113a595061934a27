"""What an `alias` touchpoint says: whoever this is was known by another identity before (decisions 0010 and 0019).

A previous identity is one of the touchpoint's identities, unless both are customers. Two customers are joined by a command, and
only a trusted source may give it.
"""

from __future__ import annotations

from schemas.commands import Command, alias_command_id
from schemas.identity import CUSTOMER, NAMESPACE, RESERVED, is_customer
from schemas.normal import Identities
from schemas.times import format_time, parse_time_us
from services.ingest.domain.decode import Posted
from services.shared.errors import Rejected

ALIAS = "alias"
POINTER = "/properties/previous_id"


def previous_of(alias: Posted, identities: Identities) -> str | None:
    """The normal form of `properties.previous_id`: `namespace:value`, or a bare value, which is an anonymous_id.

    None where it is absent or stands for nobody. Raises Rejected for what can be no identity.
    """
    given = alias.properties.get("previous_id")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise Rejected("invalid_previous_id", "the previous id is text: namespace:value, or an anonymous id", POINTER)
    namespace, value = split_name(given)
    if namespace in RESERVED:
        raise Rejected(
            "reserved_namespace", f"{namespace!r} is made by Waypost itself; name the previous id of a person", POINTER
        )
    try:
        normal = identities.normalise({namespace: value})
    except Rejected as error:
        raise Rejected(error.code, error.message, POINTER) from None
    return f"{namespace}:{normal[namespace]}" if namespace in normal else None


def link_of(source: str, received_us: int, alias: Posted, previous: str) -> Command | None:
    """The command by which an alias, complete with its id and normal identities, joins two customers; None where they are not two.

    It counts from when the alias happened by its sender, never from later than it was received: what an admin decided since then
    stands, whenever the alias comes in.
    """
    customer = f"{CUSTOMER}:{alias.identities.get(CUSTOMER, '')}"
    if alias.id is None or CUSTOMER not in alias.identities or not is_customer(previous) or previous == customer:
        return None
    pair = [customer, previous]
    occurred_us = parse_time_us(alias.occurred_at) if alias.occurred_at is not None else received_us
    return Command(
        id=alias_command_id(source, alias.id, pair),
        action="link",
        identities=pair,
        by=source,
        at=format_time(min(occurred_us, received_us)),
        reason=f"alias {alias.id}",
    )


def split_name(given: str | int | float) -> tuple[str, str | int | float]:
    """The namespace and the value that a previous id names; a bare value is an anonymous_id."""
    if isinstance(given, str):
        namespace, colon, value = given.strip().partition(":")
        if colon and NAMESPACE.fullmatch(namespace):
            return namespace, value
    return "anonymous_id", given
