"""The records of the topic `commands`: recorded decisions about identities and people, replayable like a touchpoint."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Action = Literal["link", "unlink", "erase", "release"]


class Command(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """`identities` are two for link and unlink, one for erase and release. `by` is who decided, `at` when (RFC 3339, UTC)."""

    id: str
    action: Action
    identities: list[str]
    by: str
    at: str
    reason: str | None = None
