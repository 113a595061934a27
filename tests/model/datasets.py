"""Figures counted straight from the files in ../shared/data, with the standard library alone."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[3] / "shared" / "data"
CDNOW = DATA / "cdnow" / "CDNOW_master.txt"
INCIDENTS = DATA / "uci_incident_log" / "incident_event_log.zip"
RETENTIONEERING = DATA / "retentioneering_ecom_v5" / "ecom.csv.gz"
SNOWPLOW = DATA / "snowplow_fractribution" / "snowplow_fractribution_events.csv"
SILENCE = timedelta(days=90)


@dataclass(frozen=True)
class Cdnow:
    """`orders` counts every row, also the `repeated_rows` that equal another in all columns."""

    customers: int
    orders: int
    repeated_rows: int
    revenue: Decimal
    discs: int
    first_purchases: int
    loyalty_orders: int
    journeys: int
    new_journeys: int


def cdnow_orders(path: Path = CDNOW) -> dict[str, list[tuple[date, int, Decimal]]]:
    """Per customer its orders as (day, discs, dollars), in the order of the file."""
    orders: defaultdict[str, list[tuple[date, int, Decimal]]] = defaultdict(list)
    with path.open(encoding="ascii") as lines:
        for line in lines:
            columns = line.split()
            if len(columns) == 4 and columns[0].isdigit():
                customer, day, discs, dollars = columns
                orders[customer].append((datetime.strptime(day, "%Y%m%d").date(), int(discs), Decimal(dollars)))
    return dict(orders)


def cdnow(path: Path = CDNOW) -> Cdnow:
    """A customer's first order is the first purchase; a journey ends with a silence of more than 90 days."""
    orders = cdnow_orders(path)
    rows = [(customer, *order) for customer, theirs in orders.items() for order in theirs]
    returns = sum(gaps_over(SILENCE, [day for day, _, _ in theirs]) for theirs in orders.values())
    return Cdnow(
        customers=len(orders),
        orders=len(rows),
        repeated_rows=repeats(rows),
        revenue=sum((dollars for _, _, _, dollars in rows), Decimal(0)),
        discs=sum(discs for _, _, discs, _ in rows),
        first_purchases=len(orders),
        loyalty_orders=len(rows) - len(orders),
        journeys=len(orders) + returns,
        new_journeys=len(orders),
    )


def repeats(rows: Iterable[tuple[object, ...]]) -> int:
    """How many rows equal an earlier one."""
    return sum(count - 1 for count in Counter(rows).values())


def gaps_over(silence: timedelta, days: list[date]) -> int:
    """How often two neighbouring days are further apart."""
    ordered = sorted(days)
    return sum(later - earlier > silence for earlier, later in pairwise(ordered))


@dataclass(frozen=True)
class Row:
    """One line of the web shop's log."""

    user: str
    session: str
    event: str
    time: datetime
    platform: str
    channel: str
    cohort: str
    lifecycle: str


@dataclass(frozen=True)
class Shop:
    """`events` counts every row, also the repeated ones. `stages` is by the given map, for rows whose event is in it."""

    users: int
    events: int
    repeated_rows: int
    sessions: int
    first: datetime
    last: datetime
    by_event: dict[str, int]
    by_stage: dict[str, int]
    users_by_stage: dict[str, int]
    by_platform: dict[str, int]
    by_channel: dict[str, int]


def retentioneering_rows(path: Path = RETENTIONEERING) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as table:
        return [
            Row(
                line["user_id"],
                line["session_id"],
                line["event"],
                datetime.fromisoformat(line["timestamp"]),
                line["platform"],
                line["acquisition_channel"],
                line["user_cohort"],
                line["user_lifecycle"],
            )
            for line in csv.DictReader(table)
        ]


def retentioneering(stages: Mapping[str, str], path: Path = RETENTIONEERING) -> Shop:
    """Counts of the web shop's log; `stages` maps its events to stages."""
    rows = retentioneering_rows(path)
    staged = [(stages[row.event], row.user) for row in rows if row.event in stages]
    return Shop(
        users=len({row.user for row in rows}),
        events=len(rows),
        repeated_rows=repeats((row,) for row in rows),
        sessions=len({row.session for row in rows}),
        first=min(row.time for row in rows),
        last=max(row.time for row in rows),
        by_event=dict(Counter(row.event for row in rows)),
        by_stage=dict(Counter(stage for stage, _ in staged)),
        users_by_stage=dict(Counter(stage for stage, _ in set(staged))),
        by_platform=dict(Counter(row.platform for row in rows)),
        by_channel=dict(Counter(row.channel for row in rows)),
    )


@dataclass(frozen=True)
class Buyer:
    """A customer of the sample: repeat purchase days until the calibration's end, and the weeks to the last of them and to that end."""

    repeats: int
    recency_weeks: float
    age_weeks: float
    active_later: bool


def cdnow_sample(end: date, path: Path = CDNOW.with_name("CDNOW_sample.txt")) -> dict[int, Buyer]:
    """By the customer's number in the sample; purchases of one day are one."""
    days: defaultdict[int, set[date]] = defaultdict(set)
    with path.open(encoding="ascii") as lines:
        for line in lines:
            _, customer, day, _, _ = line.split()
            days[int(customer)].add(datetime.strptime(day, "%Y%m%d").date())
    return {customer: buyer(sorted(theirs), end) for customer, theirs in days.items()}


def cdnow_sample_revenue(path: Path = CDNOW.with_name("CDNOW_sample.txt")) -> Decimal:
    """Dollars of all purchases of the sample."""
    with path.open(encoding="ascii") as lines:
        return sum((Decimal(line.split()[4]) for line in lines), Decimal(0))


def cdnow_summary(path: Path = CDNOW.with_name("cdnow_customers_summary.csv")) -> dict[int, tuple[int, float, float]]:
    """The published table: repeat purchase days, weeks to the last of them, and weeks to the calibration's end, by customer."""
    with path.open(encoding="utf-8") as table:
        return {int(row["ID"]): (int(row["frequency"]), float(row["recency"]), float(row["T"])) for row in csv.DictReader(table)}


def cdnow_published() -> dict[str, Any]:
    """The figures published beside the data, and those that follow from it."""
    table: dict[str, Any] = json.loads(CDNOW.with_name("EXPECTED.json").read_text("utf-8"), parse_float=Decimal)
    return {**table["published"], **table["computed_from_the_data"]}


def buyer(days: list[date], end: date) -> Buyer:
    first, until = days[0], [day for day in days if day <= end]
    return Buyer(len(until) - 1, (until[-1] - first).days / 7, (end - first).days / 7, days[-1] > end)


@dataclass(frozen=True)
class Attributed:
    """As published with the sample: sessions by channel, and by model the (conversions, revenue) of channels that have any.

    `linear_exposure` shares evenly among the channels of a path without repeats.
    """

    sessions: dict[str, int]
    conversions: int
    revenue: Decimal
    tables: dict[str, dict[str, tuple[float, float]]]


def snowplow(path: Path = SNOWPLOW.with_name("EXPECTED.json")) -> Attributed:
    expected = json.loads(path.read_text("utf-8"))
    published, computed = expected["published"], expected["computed_from_the_data"]
    tables = {
        "first": computed["first_touch"],
        "last": published["last_touch"],
        "linear_exposure": computed["linear_on_exposure_path"],
        "shapley": published["shapley"],
    }
    return Attributed(
        sessions=published["channel_sessions"],
        conversions=published["conversions"],
        revenue=Decimal(str(published["revenue"])),
        tables={model: {name: (orders, money) for name, (orders, money) in table.items()} for model, table in tables.items()},
    )


@dataclass(frozen=True)
class IncidentLog:
    """`last_rows` is the head and the last row of each incident, as they stand. `published` is EXPECTED.json.

    Of those whose resolution has no time: `undated_reopened` were reopened, `undated_smooth` were neither reopened nor reassigned.
    """

    last_rows: str
    published: dict[str, Any]
    undated_reopened: int
    undated_smooth: int


def incident_log(path: Path = INCIDENTS) -> IncidentLog:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as raw:
        head, *rows = io.TextIOWrapper(raw, "utf-8").read().splitlines()
    last = {row.partition(",")[0]: row for row in rows}
    undated = [row for row in csv.DictReader([head, *last.values()]) if row["resolved_at"] == "?"]
    return IncidentLog(
        last_rows="\n".join([head, *last.values()]),
        published=json.loads(path.with_name("EXPECTED.json").read_text()),
        undated_reopened=sum(row["reopen_count"] != "0" for row in undated),
        undated_smooth=sum(row["reopen_count"] == row["reassignment_count"] == "0" for row in undated),
    )


@dataclass(frozen=True)
class Incident:
    """One that was planted in the web shop's log: the days before it and of it (their first, and the day after the last), and in each how often
    an event came by a channel or on a platform (`of`)."""

    before: tuple[str, str]
    during: tuple[str, str]

    def days(self, span: tuple[str, str]) -> int:
        return (date.fromisoformat(span[1]) - date.fromisoformat(span[0])).days

    def count(self, span: tuple[str, str], event: str, of: str = "") -> int:
        first, end = (datetime.fromisoformat(day) for day in span)
        rows = [row for row in retentioneering_rows() if first <= row.time < end and row.event == event]
        return sum(of in ("", row.channel, row.platform) for row in rows)


ARTICLE = Incident(("2024-02-01", "2024-02-29"), ("2024-02-29", "2024-03-04"))
"""An article brings readers, who buy little."""
LOOP = Incident(("2024-03-09", "2024-04-09"), ("2024-04-09", "2024-05-10"))
"""The mobile checkout leads back to its beginning."""
PAYMENTS = Incident(("2024-04-29", "2024-05-19"), ("2024-05-19", "2024-06-08"))
"""Payments fail."""
