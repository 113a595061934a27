"""What every room's HTTP side shares: one shape of errors, one guard, health, Prometheus, CSV.

    create_app(routers, checks, …)        app.py        the FastAPI application of one process, rooms composed as routers
    Problem, problem                      problems.py   every error is {"code", "message", "detail"}
    Access, Guard                         guard.py      who may call what: Host, JSON only, read and admin tokens
    Check                                 health.py     /health/live, /health/ready, /metrics
    check_answer                          checking.py   a check as an answer, or as lines while it goes on
    wants_csv, csv_answer                 table.py      the same rows as CSV
    spooled, document_answer              spooling.py   an answer that is too large for memory
    params, limit, place_after, …         asking.py     what questions have in common
    json_answer, page_answer              answering.py  answers as JSON, and pages of lists

A room offers `router(…) -> APIRouter` and a list of `Check`s; `create_app` puts those of one or several rooms on one port.
"""

from services.shared.http.answering import json_answer, page_answer
from services.shared.http.app import create_app
from services.shared.http.asking import (
    After,
    Cursor,
    Format,
    Limit,
    Text,
    Timeout,
    flag,
    limit,
    next_cursor,
    not_yet,
    params,
    place_after,
    wait_first,
    wait_s,
)
from services.shared.http.checking import check_answer
from services.shared.http.guard import Access, Guard
from services.shared.http.health import Check
from services.shared.http.problems import Problem, problem
from services.shared.http.spooling import document_answer, spooled
from services.shared.http.table import csv_answer, wants_csv

__all__ = [
    "Access",
    "After",
    "Check",
    "Cursor",
    "Format",
    "Guard",
    "Limit",
    "Problem",
    "Text",
    "Timeout",
    "check_answer",
    "create_app",
    "csv_answer",
    "document_answer",
    "flag",
    "json_answer",
    "limit",
    "next_cursor",
    "not_yet",
    "page_answer",
    "params",
    "place_after",
    "problem",
    "spooled",
    "wait_first",
    "wait_s",
    "wants_csv",
]
