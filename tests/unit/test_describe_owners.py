"""Why an identity is whose it is: the explanation names the same owner as the rule that decides."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.journey.domain import identity as domain
from services.journey.domain.explain import explain, root_of
from tests.model import Command, Touchpoint
from tests.model.identity import Identities
from tests.property.test_model_and_domain import Interned
from tests.property.test_model_identity import commands, sets


@given(sets, commands, st.integers(1, 3), st.integers(-1, 12))
def test_the_explanation_names_the_owner_and_a_sighting_that_proves_it(
    given_set: list[Touchpoint], decided: list[Command], limit: int, time_us: int
) -> None:
    interned = Interned(Identities(given_set, limit, decided), decided)

    for handle in interned.names:

        def in_effect(sets: Sequence[int], at_us: int, handle: int = handle) -> domain.Sighting:
            seen = {sighting for sightings in interned.sightings.values() for sighting in sightings if sighting.set_id in sets}
            return domain.in_effect(sorted(seen), at_us)

        expected = domain.root_at(interned.view, handle, time_us, interned.of_rule)
        owned = explain(interned.view, handle, time_us, in_effect)
        assert owned.root == expected == root_of(interned.view, handle, time_us, in_effect)
        assert owned.settled == isinstance(interned.view.rule(handle), domain.Settled)
        assert (owned.sighting is None) == (owned.how in ("itself", "shared"))
        if owned.sighting is not None:
            assert {handle, owned.company} <= set(interned.view.sets[owned.sighting.set_id].members)
