"""What every room's HTTP side shares: one shape of errors, one guard, health, Prometheus, CSV.

    create_app(routers, checks, …)        app.py        the FastAPI application of one process, rooms composed as routers
    Problem, problem                      problems.py   every error is {"code", "message", "detail"}
    Access, Guard                         guard.py      who may call what: Host, JSON only, read and admin tokens
    Check                                 health.py     /health/live, /health/ready, /metrics
    wants_csv, csv_answer                 table.py      the same rows as CSV

A room offers `router(…) -> APIRouter` and a list of `Check`s; `create_app` puts those of one or several rooms on one port.
"""

from services.shared.http.app import create_app
from services.shared.http.guard import Access, Guard
from services.shared.http.health import Check
from services.shared.http.problems import Problem, problem
from services.shared.http.table import csv_answer, wants_csv

__all__ = ["Access", "Check", "Guard", "Problem", "create_app", "csv_answer", "problem", "wants_csv"]
