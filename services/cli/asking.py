"""`waypost kpis`, `person` and `export`: questions to a running service, answered as tables or as the document they ask for."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from services.cli.client import ASK_S, Service
from services.shared.errors import Misconfigured


def show_kpis(url: str, token: str, console: Console) -> None:
    with closing(Service(url, token, ASK_S)) as service:
        found = service.get("/v1/kpis")["kpis"]
    shown = Table(title="KPIs")
    for column in ("id", "title", "unit", "broken down by"):
        shown.add_column(column)
    for kpi in found:
        shown.add_row(kpi["id"], kpi["title"], kpi["unit"], ", ".join(kpi["dimensions"]))
    console.print(shown)


def show_kpi(url: str, token: str, kpi: str, by: str, days: int, console: Console) -> None:
    """By month: the months that the last `days` days lie in."""
    today = datetime.now(UTC).date()
    first = (today - timedelta(days=days)).replace(day=1)
    after = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    query = {"from": first.isoformat(), "to": after.isoformat(), "grain": "month", **({"by": by} if by else {})}
    with closing(Service(url, token, ASK_S)) as service:
        answer = service.get(f"/v1/kpis/{quote(kpi, safe='')}", query)
    columns = [name for name in answer["rows"][0] if name not in _NUMBERS] if answer["rows"] else ["period"]
    shown = Table(title=f"{answer['kpi']} ({answer['unit']}), complete to {answer['complete_to']}")
    for column in columns:
        shown.add_column(column)
    for column in ("value", "n", "from", "to"):
        shown.add_column(column, justify="right")
    for row in answer["rows"]:
        shown.add_row(*(_text(row[name]) for name in columns), *(_text(row[name]) for name in ("value", "n", "low", "high")))
    console.print(shown)


def show_person(url: str, token: str, identity: str, console: Console) -> None:
    if ":" not in identity:
        raise Misconfigured(f"write the person as NAMESPACE:VALUE, such as customer_id:{identity}")
    with closing(Service(url, token, ASK_S)) as service:
        found = service.get(f"/v1/persons/{quote(identity, safe=':')}")
    console.print(f"person {found['person_id']}, {found['touchpoints']:,} touchpoints")
    console.print("identities: " + ", ".join(found["identities"]), markup=False)
    shown = Table(title="Journeys")
    for column in ("started", "last", "stage now", "furthest", "touchpoints", "orders", "cases"):
        shown.add_column(column)
    for journey in found["journeys"]:
        shown.add_row(
            journey["started_at"],
            journey["last_at"] + (" (open)" if journey["open"] else ""),
            journey["current_stage"],
            journey["furthest_stage"],
            *(_text(value) for value in (journey["touchpoints"], len(journey["orders"]), len(journey["cases"]))),
        )
    console.print(shown)


def export_person(url: str, token: str, identity: str, out: Path | None) -> None:
    """Into a file that only its owner may read, or to standard output."""
    path = f"/v1/persons/{quote(identity, safe=':')}/export"
    with closing(Service(url, token, ASK_S)) as service:
        if out is None:
            service.download(path, sys.stdout.buffer)
            return
        with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            service.download(path, file)


_NUMBERS = frozenset({"value", "numerator", "denominator", "n", "low", "high", "open"})


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
