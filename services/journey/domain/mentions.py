"""Whom a touchpoint names beside its own identities. It proves nothing about them. Pure."""

from __future__ import annotations

from typing import Literal

from schemas.normal import Identities
from services.journey.domain.derive import Derived
from services.shared.errors import Rejected

Kind = Literal["alias", "referral"]
_NORMAL = Identities()


def mentions_in(derived: Derived) -> list[tuple[Kind, str]]:
    """Another customer whom an alias calls this one, and who referred this person."""
    found: list[tuple[Kind, str]] = [("alias", derived.claimed)] if derived.claimed is not None else []
    if derived.referral is not None and derived.referral.referred_by is not None:
        found.append(("referral", _known_by(derived.referral.referred_by)))
    return found


def _known_by(referrer: str) -> str:
    """The normal form of an identity as somebody sent it, where it has one."""
    try:
        return _NORMAL.name(referrer)
    except Rejected:
        return referrer
