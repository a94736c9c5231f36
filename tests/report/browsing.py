"""Chromium, driven by Playwright; what uses it is skipped, and says so, where either is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""


@contextmanager
def browser() -> Iterator[Any]:
    """A browser without a window."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="Chromium is driven by playwright, which is not installed"
    )
    if not CHROMIUM:
        pytest.skip("pages are tried in Chromium, which is not installed")
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Seen:
    """A page in a browser, with all that it said and asked for."""

    def __init__(self, opened: Any, address: str, **how: Any) -> None:
        self.page = opened.new_page(**how)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)

    def other_requests(self) -> list[str]:
        """What was asked for besides the page itself."""
        return [url for url in self.asked[1:] if not url.startswith(("data:", "blob:"))]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))
