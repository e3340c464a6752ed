"""What every browser test shares: Chromium, pages of a given size, and two watchers.

A press returns before the page that it leads to is there. So a test that goes on to look at that
page, or to press a key there, waits for it (`leaving`), or for something that just it shows.

A test fails where a page says an error on its console, and where it asks anything of another
origin than its console's: the pages must work on a network that ends at the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_OURS: Final = ("127.0.0.1", "localhost")
_HANDSET_PIXELS_MAX: Final = 600
# How long a page may take to do what a test waits for, on a machine with other work to do.
_TIMEOUT_MS: Final = 30_000.0
expect.set_options(timeout=_TIMEOUT_MS)


@dataclass
class Watch:
    """What the pages of one test did that no page may do."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    _allowed: list[str] = field(default_factory=list)
    _origins: set[str] = field(default_factory=set)

    def allow(self, *texts: str) -> None:
        """Errors with one of these texts are what the test is about, e.g. a network that is cut."""
        self._allowed.extend(texts)

    def follow(self, context: BrowserContext) -> None:
        """Watch every page of a context."""
        context.on("console", self._said)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", lambda request: self._asked(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(one in message.text for one in self._allowed):
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in _OURS:
            self.foreign.append(url)
        elif parts.scheme in ("http", "https"):
            self._origins.add(f"{parts.scheme}://{parts.netloc}")

    def check(self) -> None:
        """Fail the test where something was seen."""
        assert self.errors == [], "the pages said errors"
        assert self.foreign == [], "the pages asked something outside the node"


@pytest.fixture(scope="module")
def browser(require: Callable[[str], str]) -> Iterator[Browser]:
    """One Chromium for the tests of a module; each page has a profile of its own.

    While it runs, so does Playwright's event loop in this thread, and no other may be run here
    (`tests.browser.served_console.aside`): so it ends with the module.
    """
    path = require("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield launched
        launched.close()


def leaving(page: Page) -> AbstractContextManager[object]:
    """Ends when the page that a press in the block leads to is there, with its scripts."""
    return page.expect_navigation(wait_until="load")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """The watcher of this test's pages; it is checked when the test has ended."""
    watched = Watch()
    yield watched
    watched.check()


@pytest.fixture
def page_at(browser: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """`page_at(360, 740)` opens a page of that size, in Chinese, in a profile of its own.

    More options are those of Playwright's `new_context`, e.g. `java_script_enabled=False`.
    """
    contexts: list[BrowserContext] = []

    def make(width: int, height: int, **options: object) -> Page:
        is_handset = width < _HANDSET_PIXELS_MAX
        given: dict[str, object] = {
            "viewport": {"width": width, "height": height},
            "locale": "zh-CN",
            "is_mobile": is_handset,
            "has_touch": is_handset,
        }
        context = browser.new_context(**{**given, **options})  # type: ignore[arg-type]  # its options
        context.set_default_timeout(_TIMEOUT_MS)
        watch.follow(context)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
