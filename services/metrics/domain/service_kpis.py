"""The KPIs of service contacts. What each counts is in `service.py`."""

from __future__ import annotations

from services.metrics.domain.cubes import BY_NAME
from services.metrics.domain.kpis import OWN, Average, Duration, Kpi, Share, Total
from services.metrics.domain.periods import Grain

_HOURLY: tuple[Grain, ...] = ("hour", "day", "week", "month", "quarter", "year", "none")
_COPC = "COPC Customer Experience Standard, Release 7.0 (metric definitions)"
_EFFORT = "Dixon, Freeman and Toman: Stop Trying to Delight Your Customers. Harvard Business Review, July 2010"
_ERLANG = "Gans, Koole and Mandelbaum: Telephone Call Centers. Manufacturing & Service Operations Management 5 (2003)"


def _level(id: str, measure: str, within: str) -> Kpi:
    return Kpi(
        id,
        f"Service level {within}",
        "percent",
        BY_NAME["legs"],
        Share(measure, ("answered", "abandoned")),
        f"Legs (calls, chats, or cases without any) answered within {within} of their wait's beginning, the bound included, among "
        "all that were answered or abandoned, dated at the answer or the abandonment.",
        source=_ERLANG,
    )


SERVICE_KPIS: tuple[Kpi, ...] = (
    Kpi(
        "cases_opened",
        "Cases opened",
        "count",
        BY_NAME["cases"],
        Total("opened"),
        "Service contacts whose first touchpoint lies in the period.",
        source=OWN,
        grains=_HOURLY,
    ),
    Kpi(
        "first_response_time",
        "First response time",
        "seconds",
        BY_NAME["first_response"],
        Duration("time_ms", "responded"),
        "From a case's first touchpoint to the first answer or message of an agent, dated at that response; bots apart.",
        source=_COPC,
    ),
    Kpi(
        "bot_response_time",
        "Bot response time",
        "seconds",
        BY_NAME["bot_response"],
        Duration("time_ms", "responded"),
        "From a case's first touchpoint to the first answer or message of a bot, dated at that response.",
        source=OWN,
    ),
    Kpi(
        "speed_of_answer",
        "Speed of answer",
        "seconds",
        BY_NAME["speed_of_answer"],
        Duration("time_ms", "answered"),
        "Of answered legs, the wait from queued, else opened, to the answer; zero waits included, unknown ones left out.",
        source=_ERLANG,
    ),
    _level("service_level_20s", "within_20s", "20 seconds"),
    _level("service_level_1m", "within_1m", "1 minute"),
    _level("service_level_5m", "within_5m", "5 minutes"),
    _level("service_level_60m", "within_60m", "60 minutes"),
    Kpi(
        "abandonment_rate",
        "Abandonment rate",
        "percent",
        BY_NAME["legs"],
        Share("abandoned", ("answered", "abandoned")),
        "Legs that the customer gave up before an answer, among those answered or abandoned. Those under 5 seconds count too.",
        source=_ERLANG,
    ),
    Kpi(
        "abandonment_rate_queued",
        "Abandonment rate of the queued",
        "percent",
        BY_NAME["queued_legs"],
        Share("abandoned", "over"),
        "Abandoned among queued legs that were answered, abandoned, or ended without either.",
        source=_ERLANG,
    ),
    Kpi(
        "short_abandons",
        "Short abandons",
        "percent",
        BY_NAME["legs"],
        Share("short", "abandoned"),
        "Abandoned legs whose wait was under 5 seconds, among all that were abandoned.",
        source=OWN,
    ),
    Kpi(
        "handling_time",
        "Handling time",
        "seconds",
        BY_NAME["handling"],
        Duration("time_ms", "ended"),
        "Talk, hold and wrap-up of ended legs: as sent, else of calls and chats from the answer to the end; dated at the end.",
        source=_COPC,
    ),
    Kpi(
        "first_resolution_time",
        "Time to first resolution",
        "seconds",
        BY_NAME["first_resolution"],
        Duration("time_ms", "resolved"),
        "From a case's first touchpoint to its first resolution, dated there.",
        source=OWN,
    ),
    Kpi(
        "resolution_time",
        "Resolution time",
        "seconds",
        BY_NAME["resolution"],
        Duration("time_ms", "resolved"),
        "From a case's first touchpoint to the resolution that stands, dated there; a reopened case leaves until it is resolved again.",
        source=_COPC,
    ),
    Kpi(
        "resolution_rate",
        "Resolution rate",
        "percent",
        BY_NAME["outcomes"],
        Share("resolved", "opened"),
        "Cases opened in the period that are resolved (and not reopened) as of now.",
        source=OWN,
    ),
    Kpi(
        "reopen_rate",
        "Reopen rate",
        "percent",
        BY_NAME["lasting"],
        Share("reopened", "resolved"),
        "Cases that were reopened among those resolved at least once, dated at the first resolution.",
        source=OWN,
    ),
    Kpi(
        "first_contact_resolution",
        "First-contact resolution",
        "percent",
        BY_NAME["lasting"],
        Share("first_contact", "decided", open="open"),
        "Cases whose first resolution came without a transfer and was followed, within 7 days, neither by a reopening nor by another "
        "case of the person on that topic. Dated at the first resolution; open until the 7 days have passed.",
        source=_COPC,
    ),
    Kpi(
        "transfers_per_case",
        "Transfers per case",
        "ratio",
        BY_NAME["outcomes"],
        Average("transfers", "opened"),
        "Transfers of the cases opened in the period, per case.",
        source=_EFFORT,
    ),
    Kpi(
        "agents_per_case",
        "Agents per case",
        "ratio",
        BY_NAME["outcomes"],
        Average("agents", "opened"),
        "Distinct agents named in the cases opened in the period, per case.",
        source=OWN,
    ),
    Kpi(
        "repeated_information",
        "Had to repeat information",
        "percent",
        BY_NAME["outcomes"],
        Share("told_again", "opened"),
        "Cases opened in the period of which somebody gave the reason `repeated_information`.",
        source=_EFFORT,
    ),
    Kpi(
        "repeat_contacts",
        "Repeat contacts",
        "percent",
        BY_NAME["repeats"],
        Share("repeated", "decided", open="open"),
        "Cases followed by another case of the same person within 7 days, dated at the opening; open until the 7 days have passed.",
        source=_EFFORT,
    ),
    Kpi(
        "contact_reasons",
        "Contacts by reason",
        "count",
        BY_NAME["reasons"],
        Total("cases"),
        "Cases of which a reason was given, once for each reason, dated when it was first given.",
        source="Price and Jaffe: The Best Service Is No Service. Jossey-Bass, 2008",
    ),
)
