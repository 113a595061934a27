"""The dashboard: one page at `/` that draws what the public API answers, with plotly's own JavaScript.

    router, PAGES     here
    assets.py         files as answers: digests, compression, caching
    index.html        the page; its modules and styles lie beside it
    dashboard.js      the start: reads the range, asks, has each part drawn
    api, format, dom, range, plot, colours, stages      what the parts share
    header, tiles, funnel, volume, transitions, origins, person, timeline      one part of the page each

Nothing is loaded from elsewhere: the page's policy allows its own origin only, and no inline script or style.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.metrics.dashboard.assets import Asset, Folder, installed_plotly
from services.shared.http import Problem

PAGES = ("/", "/dashboard/*")
"""Paths that need no token; the figures themselves do, where tokens are set."""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def router() -> APIRouter:
    """`/` and the files that it is made of. Their addresses name their content, so that browsers may keep them for ever."""
    routes = APIRouter(include_in_schema=False)
    folder, plotly = Folder.of(Path(__file__).parent), installed_plotly()
    page = Asset(folder.page(plotly.address), "text/html; charset=utf-8")

    @routes.get("/")
    def index(request: Request) -> Response:
        return page.answer(request, cache="no-cache", headers=_PAGE_HEADERS)

    @routes.get("/dashboard/{digest}/{name}")
    def asset(request: Request, digest: str, name: str) -> Response:
        found = plotly.find(digest, name) or folder.find(digest, name)
        if found is None:
            raise Problem(404, "not_found", "there is no such file; open / again")
        return found.answer(request, cache="public, max-age=31536000, immutable")

    return routes
