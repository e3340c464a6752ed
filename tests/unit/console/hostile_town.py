"""What the tests of hostile users share: a small network, a call, and a walk over every page.

The list of attacks is docs/ASVS.md; each page's own tests hold its rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from huying.hub.web.site import PAGES
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put
from tests.unit.console.test_provisions import add_department
from tests.unit.console.town_desk import Town, open_town

PAYLOAD = "<script>alert(1)</script>'\"{{7*7}}"
# What would be seen of it: markup that was not escaped, or a template that was computed.
SIGNS = ("<script>alert(1)", "'\"{{7*7}}", "&#39;&#34;49", "'\"49")
SPECIAL = {"live", "language", "healthz", "media", "service-worker", "manifest", "sign-out"}
DEPARTMENT = "县水务局"


@contextmanager
def hostile_town(folder: Path) -> Iterator[Town]:
    """A county, a town and a village with a grid and departments, while the block lasts."""
    with open_town(folder) as made:
        grid = records_pb2.Grid(code=GRID, name="第一网格", type=records_pb2.GRID_TYPE_GENERAL)
        made.append(VILLAGE, put(feed_pb2.RECORD_TYPE_GRID, grid))
        for code in (COUNTY, TOWN):
            add_department(made.served, code, DEPARTMENT)
        made.served.settle()
        yield made


def call(town: Town) -> bytes:
    """A call of the town about the village, which the county received; its id."""
    message = calls_pb2.Call(
        sequencer=COUNTY,
        category="道路",
        title="村口积水",
        description="约三十厘米",
        village=VILLAGE,
        raised_micros=int(town.served.network.clock.now() * 1e6),
        actor="镇-经办-01",
    )
    return town.append(TOWN, put(feed_pb2.RECORD_TYPE_CALL, message, to=(f"={VILLAGE}",)))[0].record


class Filled(NamedTuple):
    """A form as a hostile person would send it."""

    action: str
    method: str
    fields: dict[str, str]
    typed: int  # fields of text that hold the payload


class FilledForms(HTMLParser):
    """The forms of a page, every field of text filled with the payload."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Filled] = []
        self.links: list[str] = []
        self._inside = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "a" and given.get("href", "").startswith("/"):
            self.links.append(given["href"].partition("#")[0])
        if tag == "form":
            self._inside = True
            self.found.append(Filled(given.get("action", ""), given.get("method", "get"), {}, 0))
        if not self._inside:
            return
        name, kind, fields = given.get("name", ""), given.get("type", "text"), self.found[-1].fields
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select and not fields.get(self._select):
            fields[self._select] = given.get("value", "")
        elif tag == "textarea" or (tag == "input" and kind in ("text", "search", "tel")):
            fields[name] = PAYLOAD
            self.found[-1] = self.found[-1]._replace(typed=self.found[-1].typed + 1)
        elif tag == "input" and name and kind not in ("file", "submit", "checkbox", "password"):
            if kind == "radio" and name in fields and "checked" not in given:
                return
            fields[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = ""


_PATTERNS = [
    (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", page.path)), page)
    for page in PAGES
    if "GET" in page.methods
]


def name_of(url: str) -> str:
    path = urlsplit(url).path
    return next((page.name for pattern, page in _PATTERNS if pattern.fullmatch(path)), "")


def checked(answer: Any) -> str:
    """The text of an answer, after it was looked through."""
    assert answer.status_code < 500, (answer.url, answer.text[-600:])
    text: str = answer.text if "text/" in answer.headers.get("content-type", "") else ""
    for sign in SIGNS:
        assert sign not in text, (str(answer.url), sign)
    assert text == "" or "charset=utf-8" in answer.headers["content-type"], answer.url
    return text


def walk(console: ConsoleUnderTest, *, sends: bool) -> set[tuple[str, str]]:
    """Every page that links lead to, once; (page, action) of the forms that were sent."""
    waiting, known, seen = ["/", "/account"], {"/", "/account"}, set()
    sent: set[tuple[str, str]] = set()
    while waiting:
        url = waiting.pop(0)
        name = name_of(url)
        if not name or name in SPECIAL or name in seen:
            continue
        answer = console.get(url)
        parser = FilledForms()
        parser.feed(checked(answer))
        going = answer.headers.get("location", "")
        if answer.status_code == 200:
            seen.add(name)
        for link in [*parser.links, going]:
            if link.startswith("/") and link not in known:
                known.add(link)
                waiting.append(link)
        for form in parser.found if sends else ():
            action = re.sub(r"[0-9a-f]{32}", "ID", urlsplit(form.action or url).path)
            if not form.typed or (name, action) in sent:
                continue
            sent.add((name, action))
            if form.method.lower() == "post":
                taken = console.post(form.action or url, form.fields)
            else:
                taken = console.get(urlsplit(form.action or url).path, params=form.fields)
            checked(taken)
            if (location := taken.headers.get("location", "")).startswith("/"):
                waiting.append(location)
                checked(console.get(location))
    return sent
