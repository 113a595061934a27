"""`waypost rejected`: what was refused, as a table, and replays of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.client import ASK_S, Service
from services.shared.errors import Misconfigured

PAGE = 500
SHOWN = 80
"""Characters of an item in the table."""


def show(url: str, token: str, wanted: Mapping[str, str], limit: int, console: Console) -> None:
    """The newest, and how many there are of each code and source."""
    with closing(Service(url, token, ASK_S)) as service:
        answer = service.get("/v1/rejected", {**wanted, "limit": limit})
    for title in ("codes", "sources"):
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(answer[title].items(), key=lambda pair: -pair[1]))
        console.print(f"{title}: {counts or 'none'}", markup=False, highlight=False)
    shown = Table(title=f"{len(answer['rejected']):,} of {answer['total']:,} rejected records, the newest first")
    shown.add_column("id", no_wrap=True)
    for column in ("refused", "item"):
        shown.add_column(column, overflow="fold")
    for row in answer["rejected"]:
        place = f"{row['topic']}/{row['partition']}/{row['offset']}" if row["topic"] else row["pointer"] or "/"
        refused = f"{row['rejected_at']} {row['source']}, by {row['room']}: {_code(row)} at {place}: {row['message']}"
        shown.add_row(*map(Text, map(_plain, (row["id"], refused, _item(row)))))
    console.print(shown)


def replay(url: str, token: str, selection: Mapping[str, Any], console: Console) -> bool:
    """Replay all that fits, page by page; whether nothing was rejected again."""
    totals = {"replayed": 0, "rejected": 0, "unknown": 0}
    cursor: dict[str, str] = {}
    with closing(Service(url, token)) as service:
        while True:
            answer = service.post("/v1/rejected/replay", {"limit": PAGE, **selection, **cursor})
            for result in answer["results"]:
                totals[result["status"]] += 1
                if result["status"] != "replayed":
                    said = f"{result['code']} at {result['pointer'] or '/'}: {result['message']}" if result["code"] else ""
                    console.print(
                        _plain(f"{result['id']} {result['status']} {said}"), markup=False, highlight=False, soft_wrap=True
                    )
            if answer["next_cursor"] is None:
                break
            cursor = {"cursor": answer["next_cursor"]}
    console.print(", ".join(f"{count:,} {status}" for status, count in totals.items()), highlight=False)
    return totals["rejected"] == totals["unknown"] == 0


def selected(ids: list[str] | None, wanted: Mapping[str, str], everything: bool) -> dict[str, Any]:
    """Which records a replay means. Raises Misconfigured if that is not said."""
    if ids:
        return {**wanted, "ids": ids}
    if not wanted and not everything:
        raise Misconfigured("say which: their ids, a filter such as --code unknown_field, or --all")
    return dict(wanted) if wanted else {"replayed": False}


def _code(row: Mapping[str, Any]) -> str:
    return f"{row['code']} (replayed)" if row["replayed_at"] else str(row["code"])


def _item(row: Mapping[str, Any]) -> str:
    text = row["body"] if row["body"] is not None else f"{row['size']:,} bytes"
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _plain(text: str) -> str:
    """What strangers sent, without what a terminal would obey."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
