"""The KPIs of what drives service contacts: how many there are for each order and each person."""

from __future__ import annotations

from services.metrics.domain.contact_formulas import Cost, Load
from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Duration, Kpi, Per, Total
from services.metrics.domain.order_kpis import ORDERS
from services.metrics.domain.volume_kpis import PEOPLE

_DRIVERS = "Price and Jaffe: The Best Service Is No Service. Jossey-Bass, 2008"

_COPC = "COPC Customer Experience Standard, Release 7.0 (metric definitions)"
_OPEN = "counted by the configured opening hours (WAYPOST_OPENING_HOURS, always open without them) in place of the clock."


def _open_hours(id: str, title: str, of: str, counted: str, what: str) -> Kpi:
    return Kpi(id, title, "seconds", BY_NAME[of], Duration("time_ms", counted), f"{what}, {_OPEN}", source=_COPC)


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
    Kpi(
        "contact_load",
        "Contact load",
        "count",
        BY_NAME["load"],
        Load("opened"),
        "Cases opened in the period, by hour of the week (1-09 is Monday from nine to ten by the clock of the installation) and channel. "
        "Beside it agent_hours: in each hour the distinct agents who acted on a case, added up, on that channel where it is one.",
        source="Gans, Koole and Mandelbaum: Telephone Call Centers. Manufacturing & Service Operations Management 5 (2003)",
        seen=BY_NAME["agents_seen"],
        exploratory=True,
    ),
    Kpi(
        "cost_per_contact",
        "Cost per contact",
        "currency",
        BY_NAME["effort"],
        Cost("handled_ms", "handled"),
        "Handled time of the cases opened in the period of which any is known, at the configured cost of a handled minute "
        "(WAYPOST_COST_PER_HANDLED_MINUTE; no value without it), per such case.",
        source=OWN,
    ),
    Kpi(
        "complaints",
        "Complaints",
        "count",
        BY_NAME["complaints"],
        Total("complaints"),
        "Cases of which somebody gave the reason `complaint`, dated when it was first given, under the first reason given beside it.",
        source="ISO 10002:2018 Quality management — Customer satisfaction — Guidelines for complaints handling in organizations",
    ),
    Kpi(
        "open_cases",
        "Open cases",
        "count",
        BY_NAME["open_cases"],
        Total("open"),
        "Cases opened in the period that are open as of now (not resolved since they were opened or reopened, and not closed), by the "
        "time since they were opened.",
        source=OWN,
    ),
    _open_hours(
        "first_response_time_open_hours",
        "First response time in opening hours",
        "first_response_open",
        "responded",
        "From a case's first touchpoint to the first answer or message of an agent, dated at that response",
    ),
    _open_hours(
        "first_resolution_time_open_hours",
        "Time to first resolution in opening hours",
        "first_resolution_open",
        "resolved",
        "From a case's first touchpoint to its first resolution, dated there",
    ),
    _open_hours(
        "resolution_time_open_hours",
        "Resolution time in opening hours",
        "resolution_open",
        "resolved",
        "From a case's first touchpoint to the resolution that stands, dated there",
    ),
)
