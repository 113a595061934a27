"""The cubes of attribution: credits by rule, and the counts of paths that models are computed from."""

from __future__ import annotations

from services.metrics.domain.cube import Cube

_CREDITS = ("first", "last", "last_nondirect", "linear", "linear_exposure", "position", "decay")


def _paths(of: str) -> tuple[Cube, ...]:
    """Steps, sets, and the worth of what was ordered after each set, of paths of channels or campaigns."""

    def cube(name: str, dims: tuple[str, ...], measures: tuple[str, ...], kinds: tuple[str, ...]) -> Cube:
        return Cube(f"{of}_{name}", dims, (dims,), measures, kinds, cohort="dated", signed=True)

    return (
        cube("steps", ("stage", "from", "to"), ("converting", "lost"), ("order", "path")),
        cube("sets", ("stage", "set"), ("converting", "lost"), ("order", "path")),
        cube("worths", ("currency", "stage", "set"), ("orders", "gross_micros"), ("order",)),
    )


MARKETING_CUBES: tuple[Cube, ...] = (
    Cube("touches", ("marketing_channel", "campaign"), (("marketing_channel", "campaign"),), ("touches",), ("path",)),
    Cube(
        "attribution",
        dims=("marketing_channel", "campaign", "stage"),
        sets=(("marketing_channel", "stage"), ("marketing_channel", "campaign")),
        measures=_CREDITS,
        kinds=("order",),
        cohort="dated",
        signed=True,
    ),
    Cube(
        "attributed_revenue",
        dims=("currency", "marketing_channel", "campaign", "stage"),
        sets=(("currency", "marketing_channel", "stage"), ("currency", "marketing_channel", "campaign")),
        measures=(*_CREDITS, "orders"),
        kinds=("order",),
        cohort="dated",
        signed=True,
    ),
    *_paths("channel"),
    *_paths("campaign"),
)


def _modelled(*apart: str) -> Cube:
    """What models of paths come to: no rows are kept of it, it is computed from the counts above when it is asked for."""
    sets = tuple((*apart, name, "stage") for name in ("marketing_channel", "campaign"))
    return Cube(
        "modelled", (*apart, "marketing_channel", "campaign", "stage"), sets, ("credit", "orders"), ("order", "path"), "dated"
    )


MODELLED_ORDERS, MODELLED_REVENUE = _modelled(), _modelled("currency")
