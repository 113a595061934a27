"""How the dashboard's files are served: by content, compressed, kept for ever; and the page where tokens are set."""

from __future__ import annotations

import gzip
import http.client
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.parts.server import Server, free_port

READ, ADMIN = "read-0123456789abcdef", "admin-0123456789abcdef"


def fetch(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        with connection.getresponse() as response:
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def files_of(url: str) -> list[str]:
    _, _, page = fetch(url, "/")
    return sorted(set(re.findall(r'(?:href|src)="(/dashboard/[^"]+)"', page.decode())))


def test_the_page_may_load_from_its_own_origin_only(served: Served) -> None:
    status, headers, page = fetch(served.url, "/")
    assert (status, headers["cache-control"]) == (200, "no-cache")
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert b"://" not in page


def test_every_file_is_kept_for_ever_and_not_sent_again(served: Served) -> None:
    files = files_of(served.url)
    assert {Path(file).name for file in files} >= {"plotly.min.js", "dashboard.js", "dashboard.css", "icon.svg"}
    for file in files:
        status, headers, plain = fetch(served.url, file)
        assert (status, headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        again, _, nothing = fetch(served.url, file, If_None_Match=headers["etag"])
        assert (again, nothing) == (304, b"")
        _, zipped_headers, zipped = fetch(served.url, file, Accept_Encoding="gzip, br")
        assert zipped_headers["content-encoding"] == "gzip"
        assert zipped_headers["etag"] != headers["etag"]
        assert gzip.decompress(zipped) == plain


def test_an_address_of_another_version_is_not_found(served: Served) -> None:
    assert fetch(served.url, "/dashboard/0123456789abcdef/dashboard.js")[0] == 404
    assert fetch(served.url, "/dashboard/plotly-0/plotly.min.js")[0] == 404


def test_where_tokens_are_set_the_page_asks_for_one(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_READ_TOKENS", READ)
    monkeypatch.setenv("WAYPOST_ADMIN_TOKENS", ADMIN)
    port = free_port()
    command = [sys.executable, "-u", "-m", "services", "up", "--data", str(tmp_path / "data"), "--port", str(port)]
    server = Server(command, "listens on", tmp_path / "log")
    server.start()
    try:
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.get_by_role("dialog")).to_be_visible()
            page.get_by_role("textbox", name="Token").fill(READ)
            page.get_by_role("button", name="Continue").click()
            expect(page.locator("#notice")).to_contain_text("No touchpoint has arrived yet")
            expect(page.get_by_role("dialog")).to_be_hidden()
    finally:
        server.stop()
