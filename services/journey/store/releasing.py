"""Carries out releases: whoever was set aside for too many touchpoints is folded like anybody, whatever comes later."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from services.journey.store.commands import StoredCommand
from services.journey.store.ownership import Lockable
from services.journey.store.releases import Release, Releases
from services.journey.store.write import Writer


class Releasing:
    """Brings the state up to commands that are kept already, in the caller's transaction."""

    def __init__(self, releases: Releases, writer: Writer) -> None:
        self._releases, self._writer = releases, writer

    def carry(self, tx: Connection, commands: Sequence[StoredCommand], also: Collection[Lockable]) -> None:
        """Carry out these releases (`commanding.Carry`)."""
        ownership = self._writer.ownership()
        ownership.hold(tx, {one.one for one in commands} | {one for one in also if isinstance(one, int)})
        deciding, roots = self._releases.take(tx, [Release(one.id, one.one, one.at_us) for one in commands])
        ownership.require(deciding | roots)
        self._writer.reconsider(tx, ownership, roots)
