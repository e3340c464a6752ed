"""Every page that a person of each role can reach, found by following links from the first one.

A page is known by its name in the site; of several addresses of one name (two calls, say) a few are
visited. What changes something is behind a form, and forms are never sent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import expect

from huying.hub.web.site import PAGES
from tests.browser.conftest import leaving

__all__ = ["LINKED_PAGES", "Found", "crawl", "name_of", "sign_in"]

_START_MS: Final = 90_000.0  # a console begins with its first visitor, beside other programs
# No page of HTML: files, streams, and what a browser asks for by itself.
NOT_HTML: Final = frozenset(
    {
        *("live", "healthz", "language", "media", "draft-file", "service-worker", "manifest"),
        *("measures-export", "oidc-start", "oidc-callback", "oidc-bind"),
    }
)
_DOWNLOAD: Final = re.compile(
    r"export|download|template|csv|xlsx|evidence-file|\.svg|errors|faulty"
)
LINKED_PAGES: Final = frozenset(
    page.name
    for page in PAGES
    if "GET" in page.methods and page.name not in NOT_HTML and not _DOWNLOAD.search(page.name)
)
_PATTERNS: Final = [
    (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", page.path)), page)
    for page in PAGES
    if "GET" in page.methods
]


class Found(NamedTuple):
    """One page, as it stands in the browser now."""

    name: str
    url: str
    number: int  # of those of this name, from 1


def name_of(url: str) -> str:
    """The site's name of a page; empty for what is none."""
    path = urlsplit(url).path
    return next((page.name for pattern, page in _PATTERNS if pattern.fullmatch(path)), "")


def sign_in(page: BrowserPage, origin: str, login: str, password: str) -> None:
    """By the form, as people do."""
    page.goto(f"{origin}/sign-in", timeout=_START_MS)
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", password)
    with leaving(page):
        page.click("main button[type=submit]")
    assert "/sign-in" not in page.url


def crawl(page: BrowserPage, origin: str, *, most: int = 1) -> Iterator[Found]:
    """Each page reached from where the browser stands, at most `most` of a name."""
    waiting = [page.url]
    known = set(waiting)
    seen: Counter[str] = Counter()
    while waiting:
        url = waiting.pop(0)
        name = name_of(url)
        if name not in LINKED_PAGES or seen[name] >= most:
            continue
        page.goto(url)
        # A page that is still being counted loads itself again, whatever looks at it meanwhile.
        expect(page.locator("[data-reload-seconds]")).to_have_count(0)
        landed = name_of(page.url)
        if landed != name and seen[landed] >= most:
            continue
        seen[landed] += 1
        yield Found(landed, page.url, seen[landed])
        for link in page.eval_on_selector_all("a[href]", "all => all.map(one => one.href)"):
            address = link.partition("#")[0]
            if address.startswith(f"{origin}/") and address not in known:
                known.add(address)
                waiting.append(address)
