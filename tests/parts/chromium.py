"""A real Chromium: the one that is installed on this machine, driven by playwright."""

from __future__ import annotations

import shutil

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from tests.parts.server import PartMissing

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Chromium:
    """A browser with a profile of its own that is deleted at the end. Raises PartMissing if there is none on this machine."""

    def __init__(self) -> None:
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        if found is None:
            raise PartMissing("there is no Chromium on this machine; Debian's package is called chromium")
        self._path = found
        self._playwright: Playwright | None = None
        self.browser: Browser | None = None

    def start(self) -> Browser:
        """Start it. Raises PartMissing, with what it said, if it does not run."""
        self._playwright = sync_playwright().start()
        try:
            self.browser = self._playwright.chromium.launch(executable_path=self._path, headless=True, args=[*FLAGS])
        except Error as error:
            self.close()
            raise PartMissing(f"{self._path} does not run: {error.message}") from None
        return self.browser

    def close(self) -> None:
        """End it and delete its profile."""
        if self.browser is not None:
            self.browser.close()
        if self._playwright is not None:
            self._playwright.stop()
        self.browser = self._playwright = None
