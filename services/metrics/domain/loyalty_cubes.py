"""The cubes of who buys again, who stays and who leaves."""

from __future__ import annotations

from services.metrics.domain.cube import Cube


def _loyalty(grain: str) -> Cube:
    """People of the periods of one grain, each dated by its first day. `buyers` and `repeated` of orders only."""
    return Cube(
        f"loyalty.{grain}",
        dims=("activity", "identified"),
        sets=(("activity", "identified"),),
        measures=("buyers", "repeated", "repeated_orders", "started", "retained", "new", "reactivated", "open"),
        kinds=("day", "order"),
        cohort="dated",
        signed=True,
        foreseen=True,
    )


_ORDER_DAYS = ("first", "second", "second_order")

LOYALTY_CUBES: tuple[Cube, ...] = (
    *map(_loyalty, ("day", "week", "month", "quarter", "year")),
    Cube("order_days", ("identified",), (("identified",),), _ORDER_DAYS, ("order",), cohort="previous", signed=True),
    Cube(
        "order_days_late",
        dims=("previous", "identified"),
        sets=(("previous", "identified"),),
        measures=_ORDER_DAYS,
        kinds=("order",),
        cohort="dated",
        signed=True,
    ),
)
