"""Credit by models of all paths: counts of steps and sets are read like any figures, and the models are computed from their sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from schemas.calendar import Calendar
from services.metrics.domain.attribution import MILLIONTHS, set_of
from services.metrics.domain.credit import Model
from services.metrics.domain.cubes import BY_NAME, Cube, Dims
from services.metrics.domain.path_models import Paths, markov, shapley
from services.metrics.domain.periods import Asked
from services.metrics.figures import Figures, add_to, gather
from services.metrics.store.reading import Reading

_APART = ("currency", "stage")
Groups = dict[Dims, dict[Dims, list[int]]]
"""By stage and currency, as far as they are told apart: sums by the other dimensions of a cube."""
Credits = dict[str | None, list[int]]
"""Orders in millionths and micro-units by channel or campaign; "" is no campaign, None no touch at all."""


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
        found: dict[int, Figures] = defaultdict(Figures)
        for period, groups in (self._shapley() if self._model == "shapley" else self._markov()).items():
            for group, credits in groups.items():
                values = dict(zip(self._apart, group, strict=True))
                for label, (orders, micros) in credits.items():
                    dims = tuple(values.get(name) if name in _APART else label or None for name in names)
                    found[period].add(dims, (micros if "currency" in self._apart else orders, orders))
        return found

    def _shapley(self) -> dict[int, dict[Dims, Credits]]:
        sets, worths = self._read(BY_NAME[f"{self._of}_sets"], "set"), self._read(BY_NAME[f"{self._of}_worths"], "set")
        found: dict[int, dict[Dims, Credits]] = defaultdict(dict)
        for period, groups in worths.items():
            paths = {
                stage: {set_of(text): Paths(*counts) for (text,), counts in rows.items()} for stage, rows in sets[period].items()
            }
            for group, rows in groups.items():
                totals = {set_of(text): (orders * MILLIONTHS, micros) for (text,), (orders, micros) in rows.items()}
                found[period][group] = shapley(paths.get(self._stage(group), {}), totals)
        return found

    def _markov(self) -> dict[int, dict[Dims, Credits]]:
        """What is to be shared is the credit that any rule gives; to no channel, what came without a touch."""
        cube = BY_NAME["attributed_revenue" if "currency" in self._apart else "attribution"]
        orders, micros = cube.measures.index("orders" if "orders" in cube.measures else "linear"), cube.measures.index("linear")
        chains, worths = self._read(BY_NAME[f"{self._of}_steps"], "from", "to"), self._read(cube, "marketing_channel")
        found: dict[int, dict[Dims, Credits]] = defaultdict(dict)
        for period, groups in worths.items():
            for group, rows in groups.items():
                chain = {
                    (start, end): Paths(*counts) for (start, end), counts in chains[period].get(self._stage(group), {}).items()
                }
                touched = [
                    sum(row[place] for (channel,), row in rows.items() if channel is not None) for place in (orders, micros)
                ]
                credits = markov(chain, touched)
                untouched = rows.get((None,), [0] * len(cube.measures))
                known = credits.get(None, [0, 0])
                credits[None] = [known[0] + untouched[orders], known[1] + untouched[micros]]
                found[period][group] = credits
        return found

    def _stage(self, group: Dims) -> Dims:
        """The stage of a group, if stages are told apart."""
        return group[len(group) - ("stage" in self._apart) :]

    def _read(self, cube: Cube, *rest: str) -> dict[int, Groups]:
        names = cube.set_for(frozenset((*rest, "stage"))) or cube.sets[0]
        apart, others = [names.index(name) for name in self._apart if name in names], [names.index(name) for name in rest]
        found: dict[int, Groups] = defaultdict(lambda: defaultdict(dict))
        for period, figures in gather(self._reading, self._calendar, cube, names, self._question).items():
            for dims, values in figures.totals.items():
                add_to(found[period][tuple(dims[i] for i in apart)], tuple(dims[i] for i in others), values)
        return found
