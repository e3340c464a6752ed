"""The pages that a person can reach: found by following links, as people do, over plain HTTP.

A page is known by its name in the site, so that a new one is found, and timed, by itself. What only
a form leads to is asked for by the address that the form would have.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

from huying.hub.web.site import PAGES
from huying.node.web.page import Page

__all__ = ["NOT_TIMED", "Answer", "Browser", "Found", "page_of", "reach", "timed_pages"]

# What is no page of its own to wait for, or wants what the bench's data do not have.
NOT_TIMED: Final = {
    "live": "a stream that stays open",
    "set-up": "before there is any account",
    "sign-in": "who is in goes on at once; its form is timed with `bench.signs_in`",
    "second-factor": "the bench's people have none",
    "reauthenticate": "the bench's people have no second factor to change",
    "oidc-start": "no provider",
    "oidc-callback": "no provider",
    "oidc-bind": "no provider",
    "media": "a file",
    "order-import-file": "while a table is being imported",
    "order-import-errors": "a file of an import",
    "sheet": "while a table is being imported",
    "sheet-errors": "a file of an import",
    "draft": "a call that waits for its principal; the bench has calls that were raised",
    "provision": "no request for what is withheld is made",
    "provision-approve": "no request for what is withheld is made",
    "provision-deny": "no request for what is withheld is made",
    "provision-withdraw": "no request for what is withheld is made",
    "quarantine-entry": "nothing is in quarantine",
    "fork-evidence": "no feed is forked",
    "call-step": "leads back to the call, where the form is",
    "home": "leads on to another page",
    "language": "leads back to where one was",
    "measures-export": "a file",
    "events-export": "a file of all events that are chosen",
    "orders-export": "a file of all orders that are chosen",
    "draft-file": "a file",
    "sheet-template": "a file",
}
_TRIES: Final = 5  # addresses of one page that lead elsewhere, or to nothing
_PATTERNS: Final = tuple(
    (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", page.path)), page)
    for page in PAGES
    if "GET" in page.methods
)


def page_of(path: str) -> Page | None:
    """The page that answers GET at a path."""
    return next((page for pattern, page in _PATTERNS if pattern.fullmatch(path)), None)


def timed_pages() -> frozenset[str]:
    """The names of all pages that are to be timed."""
    return frozenset(page.name for _, page in _PATTERNS) - NOT_TIMED.keys()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    seconds: float  # from the request to the last byte
    body: bytes
    size_bytes: int  # on the wire, headers left out
    location: str
    headers: dict[str, str]


@dataclass(slots=True)
class Browser:
    """One connection with cookies."""

    address: str  # HOST:PORT
    cookies: dict[str, str] = field(default_factory=dict)
    _connection: HTTPConnection | None = None

    @property
    def origin(self) -> str:
        """As browsers send it."""
        return f"http://{self.address}"

    def get(self, url: str, **headers: str) -> Answer:
        """Ask for a page; raises OSError where nobody answers."""
        return self._ask("GET", url, b"", headers)

    def post(self, url: str, fields: dict[str, str]) -> Answer:
        """Send a form, as one of this origin's pages would."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self._ask("POST", url, urlencode(fields).encode(), headers)

    def _ask(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": cookie, "Accept-Encoding": "gzip", **headers}
        if self._connection is None:
            self._connection = HTTPConnection(self.address, timeout=30)
            self._connection.connect()
        started = time.perf_counter()
        self._connection.request(method, url, body or None, sent)
        answer = self._connection.getresponse()
        got = answer.read()
        seconds = time.perf_counter() - started
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        known = {name.lower(): value for name, value in answer.getheaders()}
        if known.get("connection", "") == "close":
            self.close()
        return Answer(answer.status, seconds, got, len(got), known.get("location", ""), known)

    def close(self) -> None:
        """Close the connection; the cookies stay."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True, slots=True)
class Found:
    """One page of one person."""

    name: str
    url: str
    role: str


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.found.append(given["href"] or "")


def links(body: str) -> list[str]:
    """Where a page leads to."""
    parser = _Links()
    parser.feed(body)
    return parser.found


def reach(browser: Browser, role: str) -> list[Found]:
    """The first address of each page that a signed-in person can reach by links."""
    waiting, known = ["/"], {"/"}
    found: dict[str, Found] = {}
    tried: Counter[str] = Counter()
    while waiting:
        url = waiting.pop(0)
        page = page_of(urlsplit(url).path)
        if page is None or page.name in found or page.name in NOT_TIMED.keys() - {"home"}:
            continue
        tried[page.name] += 1
        if tried[page.name] > _TRIES:
            continue
        answer = browser.get(url)
        hops = 0
        while answer.status in (301, 302, 303) and hops < 4:
            hops += 1
            url = urljoin(url, answer.location).removeprefix(browser.origin)
            answer = browser.get(url)
        landed = page_of(urlsplit(url).path)
        if answer.status != 200 or landed is None or landed.name in found:
            continue
        if landed.name in timed_pages():
            found[landed.name] = Found(landed.name, url, role)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        for link in links(text_of(answer)):
            address = urljoin(url, link).removeprefix(browser.origin).partition("#")[0]
            if address.startswith("/") and address not in known:
                known.add(address)
                waiting.append(address)
    return list(found.values())


def text_of(answer: Answer) -> str:
    """The page's text, unpacked."""
    import gzip

    packed = answer.headers.get("content-encoding") == "gzip"
    return (gzip.decompress(answer.body) if packed else answer.body).decode()
