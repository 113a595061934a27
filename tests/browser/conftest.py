"""A running service that has seen a small generated year, and pages of a real browser that watch over what they load."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from services.cli.client import Receipt, Service
from services.cli.demo.child import serving
from services.cli.sending import Sender
from services.cli.simulate.story import DAY_US
from services.cli.simulate.year import SOURCES, batches, generate
from tests.parts.chromium import Chromium
from tests.parts.server import PartMissing

PEOPLE, TOUCHPOINTS, SEED = 40, 600, 7


@dataclass(frozen=True)
class Served:
    """A service at `url`, and what may write to it."""

    url: str
    keys: dict[str, str]

    def ask(self, path: str, **query: object) -> dict[str, Any]:
        with closing(Service(self.url)) as service:
            answer: dict[str, Any] = service.get(path, query)
        return answer

    def post(self, source: str, *touchpoints: dict[str, object]) -> None:
        """Return when they are in every answer."""
        with closing(Service(self.url)) as service:
            receipt = service.send(self.keys[source], [msgspec.json.encode(touchpoint) for touchpoint in touchpoints])
            assert receipt.accepted == len(touchpoints)
            service.get("/v1/stages", {"from": "2020-01-01", "to": "2020-01-02"}, receipt.token)


@dataclass
class Watched:
    """A page of `served`. `errors`: what the browser's console reported; `strangers`: requests to any other origin."""

    page: Page
    served: Served
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(error.message))
        self.page.on("request", self._asked)

    def open(self, fragment: str = "") -> None:
        """Open the dashboard and return when every part of it is drawn."""
        self.page.goto(f"{self.served.url}/#{fragment}")
        self.drawn()

    def drawn(self) -> None:
        for part in ("funnel", "volume", "transitions", "origins"):
            self.page.locator(f"#{part}[data-state=ready]").wait_for()
        self.page.locator("#basis:not(:empty)").wait_for()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.served.url}/", "data:", "blob:")):
            self.strangers.append(request.url)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed after this package: as long as it is open, playwright's event loop runs in this thread, and others can't run theirs."""
    try:
        chromium = Chromium()
        running = chromium.start()
    except PartMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with closing(chromium):
        yield running


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The embedded service as a process, after a small year through its HTTP API."""
    with serving(Path(tmp_path_factory.mktemp("dashboard")), SOURCES) as child:
        year = generate(PEOPLE, TOUCHPOINTS, SEED, time.time_ns() // 1000 // DAY_US * DAY_US)
        receipts: list[Receipt] = []
        sender = Sender(child.url)
        for source, bodies in batches(year.deliveries, 500, 300):
            sender.send(child.keys[source], [msgspec.json.encode(body) for body in bodies], receipts.append)
        token = sender.finish()
        assert receipts
        assert not any(receipt.refused for receipt in receipts)
        with closing(Service(child.url)) as service:
            service.get("/v1/stages", {"from": "2020-01-01", "to": "2020-01-02"}, token)
        yield Served(child.url, child.keys)


@pytest.fixture
def dashboard(browser: Browser, served: Served) -> Iterator[Watched]:
    """A page that is not open yet; whatever the test does, nothing may go to another origin."""
    with browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900}) as context:
        watched = Watched(context.new_page(), served)
        yield watched
        assert watched.strangers == []
