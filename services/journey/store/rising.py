"""Touchpoints that come again after they were removed: copies of ghosts (docs/decisions/0011)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from services.journey.store.burying import Graveyard
from services.journey.store.ghosts import Ghost, digest_of
from services.journey.store.ownership import Ownership
from services.journey.store.touchpoints import Incoming, Reference


class Risen(NamedTuple):
    """What a batch has of ghosts: the touchpoints that are copies of no use (with the times up to which they are refused), those that take a
    ghost's place, and the ghosts that give theirs."""

    dropped_ones: Collection[Incoming] = ()
    dropped: Sequence[int] = ()
    doomed: Collection[Reference] = frozenset()
    replaced: Sequence[Ghost] = ()

    def kept(self, batch: Sequence[Incoming]) -> Sequence[Incoming]:
        """What is left of the batch."""
        dropped = {id(one) for one in self.dropped_ones}
        return [one for one in batch if id(one) not in dropped] if dropped else batch


def rise(yard: Graveyard, tx: Connection, ownership: Ownership, batch: Sequence[Incoming]) -> Risen:
    """Which touchpoints of a batch are copies of ghosts. Ghosts that give their place are away from now on."""
    known = ownership.view.identities
    suspects = [one for one in batch if known[ownership.ids[one.derived.anchor]].has_ghosts]
    if not suspects:
        return Risen()
    hiding = yard.hidden.hiding(tx)
    keys = [hiding.touchpoint(one.derived.anchor, one.derived.source, one.derived.id) for one in suspects]
    stored = yard.ghosts.read(tx, keys)
    least: dict[str, Incoming] = {}
    for key, one in zip(keys, suspects, strict=True):
        if key in stored and (key not in least or _precedence(one) < _precedence(least[key])):
            least[key] = one
    rising = {key: one for key, one in least.items() if _precedence(one) < stored[key].precedence}
    dropped = [one for key, one in zip(keys, suspects, strict=True) if key in stored and rising.get(key) is not one]
    replaced = [stored[key] for key in rising]
    if replaced:
        ownership.admit(tx, {ghost.set_id for ghost in replaced})
        yard.ghosts.remove(tx, list(rising))
        ownership.forget(tx, {ghost.set_id for ghost in replaced})
    return Risen(
        dropped,
        [known[ownership.ids[one.derived.anchor]].erased_us or 0 for one in dropped],
        {(one.derived.source, one.derived.id, ownership.ids[one.derived.anchor]) for one in rising.values()},
        replaced,
    )


def _precedence(one: Incoming) -> tuple[int, str]:
    return one.derived.received_us, digest_of(one.body)
