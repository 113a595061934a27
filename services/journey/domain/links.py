"""Links and unlinks: whom an identity stands for, and what a touchpoint says once its identities are replaced by that.

The pairs whose newest command is a link make classes; a class goes by its highest-ranked member (docs/decisions/0010). Whole numbers
stand for identities here, as in `identity`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from schemas.identity import is_customer, rank_key
from services.journey.domain.identity import Identity

Pair = tuple[int, int]
"""Two identities, the lesser first."""


class Form(NamedTuple):
    """The identities of a touchpoint as they stand: the customer, if there is one, then the handles, the highest rank first.

    `parted`: the pairs (as they lie in `members`) of which it proves nothing; with a customer only the pairs with the customer matter.
    """

    members: tuple[int, ...]
    customer: int | None
    parted: frozenset[Pair]


def pair(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


def newest(decided: Iterable[tuple[int, int, bool]]) -> dict[Pair, bool]:
    """Whether each pair is linked (True) or parted, by (one, other, is_link) in the order in which they were decided."""
    return {pair(one, other): is_link for one, other, is_link in decided}


def classes(identities: Collection[int], linked: Iterable[Pair]) -> list[set[int]]:
    """These identities, and all that are linked to them, in classes."""
    class_of = {identity: {identity} for identity in identities}
    for one, other in linked:
        smaller, larger = sorted((class_of.setdefault(one, {one}), class_of.setdefault(other, {other})), key=len)
        if smaller is not larger:
            larger |= smaller
            for identity in smaller:
                class_of[identity] = larger
    return list({id(members): members for members in class_of.values()}.values())


def representative(members: Iterable[Identity]) -> Identity:
    """Whom a class goes by: the highest-ranked; of several customers (or others of one rank) the byte-smallest."""
    return min(members, key=lambda identity: rank_key(identity.name))


def form(given: Sequence[Identity], stands_for: Mapping[int, Identity], parted: Collection[Pair]) -> Form:
    """What the identities of a touchpoint, the highest rank first, stand for together.

    `stands_for` has those that don't stand for themselves. The customer is the one that the touchpoint names, else the one that its
    highest-ranked linked handle stands for; other customers are left out. Two are parted if each of one's is parted from each of the
    other's.
    """
    standing = [stands_for.get(identity.id, identity) for identity in given]
    customer = next((identity for identity in standing if is_customer(identity.name)), None)
    handles = sorted(
        {identity.id: identity for identity in standing if not is_customer(identity.name)}.values(),
        key=lambda identity: rank_key(identity.name),
    )
    members = tuple(identity.id for identity in ([customer] if customer is not None else []) + handles)
    if not parted:
        return Form(members, customer.id if customer is not None else None, frozenset())
    behind: dict[int, list[int]] = {}
    for identity, its in zip(given, standing, strict=True):
        behind.setdefault(its.id, []).append(identity.id)
    couples = combinations(members, 2) if customer is None else ((customer.id, handle) for handle in members[1:])
    found = {(one, other) for one, other in couples if all(pair(a, b) in parted for a in behind[one] for b in behind[other])}
    return Form(members, customer.id if customer is not None else None, frozenset(found))
