"""The records of the topics `commands`, recorded decisions about identities and people, replayable like a touchpoint, and
`commands.done`, what came of them in each room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID, uuid5

from msgspec import Struct

Action = Literal["link", "unlink", "erase", "release"]
_ALIASES = UUID("0b7b1c4e-5c0c-5d0e-8d66-3e0a4bb1f0a7")


class Command(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """`identities` are two for link and unlink, one for release; for erase one of the person's, then any others that were known of them,
    for rooms that don't know who goes by which. `by` is who decided, `at` when (RFC 3339, UTC)."""

    id: str
    action: Action
    identities: list[str]
    by: str
    at: str
    reason: str | None = None

    @property
    def key(self) -> bytes:
        """Of its record: the byte-smallest identity; of an erasure the first, which says whom it is about."""
        return (self.identities[0] if self.action == "erase" else min(self.identities)).encode()


class Done(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """A room has carried out a command: what it removed, by the name of the store (`rejected_records`, …), and when (RFC 3339, UTC).

    The effect is durable. It may be said several times; of one `part` the newest counts, and later ones may have removed more: what
    comes late. A room that does it record by record says so for each: parts are added up.
    """

    command: str
    room: Literal["ingest", "journey", "metrics"]
    at: str
    removed: dict[str, int] = {}
    part: str = ""


def alias_command_id(source: str, alias_id: str, pair: Sequence[str]) -> str:
    """The id of the link that an alias touchpoint of a trusted source gives: the same whenever the touchpoint comes again."""
    return str(uuid5(_ALIASES, "\0".join([source, alias_id, *sorted(pair)])))
