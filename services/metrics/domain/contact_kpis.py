"""The KPIs of what drives service contacts: how many there are for each order and each person."""

from __future__ import annotations

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import Kpi, Per
from services.metrics.domain.order_kpis import ORDERS
from services.metrics.domain.volume_kpis import PEOPLE

_DRIVERS = "Price and Jaffe: The Best Service Is No Service. Jossey-Bass, 2008"

CONTACT_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "contact_rate_per_100_orders",
        "Contacts per 100 orders",
        "ratio",
        BY_NAME["cases"],
        Per("opened", "orders", 100),
        "Cases opened in the period for every 100 orders placed in it (less those cancelled in it). By topic, product or another "
        "dimension of the case, the orders are always all of them, so that the rates of all topics add up.",
        source=_DRIVERS,
        beside=ORDERS,
    ),
    Kpi(
        "contact_rate_per_100_people",
        "Contacts per 100 active people",
        "ratio",
        BY_NAME["cases"],
        Per("opened", "people", 100),
        "Cases opened in the period for every 100 distinct people who were active in it, by whatever dimension of the case all of them.",
        source=_DRIVERS,
        beside=PEOPLE,
    ),
)
