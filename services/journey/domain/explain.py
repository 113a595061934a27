"""Why an identity is whose it is: the rule of DESIGN.md section 6 that decides, and the touchpoint that is in effect. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from schemas.identity import is_customer
from services.journey.domain.identity import Settled, Sighting, View

How = Literal["itself", "seen_with_customer", "seen_with_handle", "highest_rank", "shared"]
"""A customer (or a handle that was seen with nobody else, or that a ghost leads to nobody); rules 1, 2 and 3; seen with too many
customers to be anybody's."""
InEffect = Callable[[Sequence[int], int], Sighting]
"""Of the sightings in some sets (one at least) the one in effect at a time: the latest at or before it, else the earliest after."""


class Owned(NamedTuple):
    """`root` owns it; `settled`: at all times. `sighting` is the evidence in effect, in which it was seen with `company`."""

    root: int
    how: How
    settled: bool
    sighting: Sighting | None = None
    company: int | None = None


def explain(view: View, identity: int, time_us: int, in_effect: InEffect) -> Owned:
    """Who owns an identity at a time, and why; the same root as `identity.root_at`. All its sets must be known."""
    known = view.identities[identity]
    if view.is_shared(identity):
        return Owned(identity, "shared", True)
    if is_customer(known.name):
        return Owned(identity, "itself", True)
    settled = isinstance(view.rule(identity), Settled)
    how, companies = deciding(view, identity)
    if not companies:
        return Owned(identity, "itself", True)
    sighting = in_effect(sorted(companies), time_us)
    company = companies[sighting.set_id]
    root = company
    if how == "seen_with_handle":
        somebody = _somebody(view, company, sighting.time_us, in_effect)
        root = somebody if somebody is not None else view.above(identity, view.sets[sighting.set_id])
    if sighting.is_ghost and view.erased_us(root) < time_us:
        return Owned(identity, "itself", settled)
    return Owned(root, how, settled, sighting, company)


def deciding(view: View, identity: int) -> tuple[How, dict[int, int]]:
    """The rule that decides over a handle, and the sets whose sightings do, each with whom the handle was seen with there."""
    if view.is_shared(identity):
        return "shared", {}
    if view.identities[identity].customers:
        return "seen_with_customer", {one.id: one.customer for one in view.sets_of(identity) if one.customer is not None}
    bridges = {one.id: bridge for one in view.sets_of(identity) if (bridge := view.bridge(identity, one)) is not None}
    if bridges:
        return "seen_with_handle", bridges
    return "highest_rank", {one.id: above for one in view.sets_of(identity) if (above := view.above(identity, one)) != identity}


def root_of(view: View, identity: int, time_us: int, in_effect: InEffect) -> int:
    """Who owns an identity at a time, asking for a sighting only if the answer depends on it."""
    rule = view.rule(identity)
    return rule.root if isinstance(rule, Settled) else explain(view, identity, time_us, in_effect).root


def _somebody(view: View, identity: int, time_us: int, in_effect: InEffect) -> int | None:
    """The same; None if a ghost in effect leads to nobody."""
    if isinstance(rule := view.rule(identity), Settled):
        return rule.root
    owned = explain(view, identity, time_us, in_effect)
    return None if owned.how == "itself" else owned.root
