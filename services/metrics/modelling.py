"""Credit by models of all paths: counts of steps and sets are read like any figures, and the models are computed from their sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from schemas.calendar import Calendar
from services.metrics.domain.attribution import MILLIONTHS, set_of
from services.metrics.domain.credit import Model
from services.metrics.domain.cubes import BY_NAME, Dims
from services.metrics.domain.path_models import Paths, markov, shapley
from services.metrics.figures import Asked, Figures, gather
from services.metrics.store.reading import Reading

_APART = ("currency", "stage")
Groups = dict[Dims, dict[Dims, list[int]]]
"""By stage and currency, as far as they are told apart: sums by the other dimensions of a cube."""


class Modelling:
    """Credits of one question. Stages and currencies that are `wanted` are modelled each for itself, others together.

    Steps and sets know no currency: orders of all currencies tell what a channel is worth.
    """

    def __init__(self, reading: Reading, calendar: Calendar, question: Asked, model: Model, wanted: Collection[str]) -> None:
        self._reading, self._calendar, self._question, self._model = reading, calendar, question, model
        self._of = "campaign" if "campaign" in wanted else "channel"
        self._apart = tuple(name for name in _APART if name in wanted)

    def figures(self, names: tuple[str, ...]) -> dict[int, Figures]:
        """Credit (of orders in millionths, or of a currency in micro-units) and orders in millionths, by period and the values of
        `names`; None for what was not wanted."""
        steps, sets, worths = self._read("steps"), self._read("sets"), self._read("worths")
        found: dict[int, Figures] = defaultdict(Figures)
        for period, groups in worths.items():
            for group, rows in groups.items():
                stage = group[len(group) - ("stage" in self._apart) :]
                chain, paths = steps[period].get(stage, {}), sets[period].get(stage, {})
                orders = self._shared({dims: orders * MILLIONTHS for dims, (orders, _) in rows.items()}, chain, paths)
                money = self._shared({dims: micros for dims, (_, micros) in rows.items()}, chain, paths)
                credit = money if "currency" in self._apart else orders
                values = dict(zip(self._apart, group, strict=True))
                for label in orders.keys() | credit.keys():
                    dims = tuple(values.get(name) if name in _APART else label or None for name in names)
                    found[period].add(dims, (credit.get(label, 0), orders.get(label, 0)))
        return found

    def _shared(
        self, totals: Mapping[Dims, int], chain: Mapping[Dims, list[int]], paths: Mapping[Dims, list[int]]
    ) -> dict[str | None, int]:
        """The totals of sets, to whom they are credited; "" is no campaign, None no touch at all."""
        by_set = {set_of(text): total for (text,), total in totals.items()}
        if self._model == "shapley":
            return shapley({set_of(text): Paths(*counts) for (text,), counts in paths.items()}, by_set)
        credits = markov(
            {(start, end): Paths(*counts) for (start, end), counts in chain.items()}, sum(by_set.values()) - by_set.get((), 0)
        )
        credits[None] = credits.get(None, 0) + by_set.get((), 0)
        return credits

    def _read(self, what: str) -> dict[int, Groups]:
        cube = BY_NAME[f"{self._of}_{what}"]
        apart = [cube.dims.index(name) for name in self._apart if name in cube.dims]
        rest = [i for i, name in enumerate(cube.dims) if name not in _APART]
        found: dict[int, Groups] = defaultdict(lambda: defaultdict(dict))
        for period, figures in gather(self._reading, self._calendar, cube, cube.sets[0], self._question).items():
            for dims, values in figures.totals.items():
                rows = found[period][tuple(dims[i] for i in apart)]
                among = tuple(dims[i] for i in rest)
                known = rows.get(among, [0] * len(cube.measures))
                rows[among] = [one + other for one, other in zip(known, values, strict=False)]
        return found
