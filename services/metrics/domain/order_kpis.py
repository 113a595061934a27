"""The KPIs of orders. What each counts is in `orders.py`."""

from __future__ import annotations

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Average, Kpi, Share, Total

_MICROS = 1_000_000

ORDERS = Kpi(
    "orders",
    "Orders",
    "count",
    BY_NAME["orders"],
    Total("orders"),
    "Orders placed in the period, less those cancelled in it. The pixel's and the server's report of one order are one order.",
    source=OWN,
)

ORDER_KPIS: tuple[Kpi, ...] = (
    ORDERS,
    Kpi(
        "gross_revenue",
        "Gross revenue",
        "currency",
        BY_NAME["orders"],
        Total("gross_micros", per=_MICROS, n="orders"),
        "The worth of orders when they are placed; an amended amount counts with its difference when it is amended, and a cancelled "
        "order takes its worth back when it is cancelled. Refunds and returns are not subtracted. Given per currency.",
        source=OWN,
        per=("currency",),
    ),
    Kpi(
        "net_revenue",
        "Net revenue",
        "currency",
        BY_NAME["orders"],
        Total("gross_micros", per=_MICROS, n="orders", less="refunded_micros"),
        "Gross revenue less what is given back, when it is given back; a refund or return without an amount gives back all that is "
        "left of the order. Given per currency.",
        source=OWN,
        per=("currency",),
    ),
    Kpi(
        "average_order_value",
        "Average order value",
        "currency",
        BY_NAME["orders"],
        Average("gross_micros", "orders", per=_MICROS),
        "Gross revenue per order of the period, per currency.",
        source=OWN,
        per=("currency",),
    ),
    Kpi(
        "return_rate",
        "Return rate",
        "percent",
        BY_NAME["order_fates"],
        Share("returned", "placed"),
        "Orders returned, as of now, among those placed in the period.",
        source=OWN,
    ),
    Kpi(
        "cancellation_rate",
        "Cancellation rate",
        "percent",
        BY_NAME["order_fates"],
        Share("cancelled", "placed"),
        "Orders cancelled, as of now, among those placed in the period.",
        source=OWN,
    ),
)
