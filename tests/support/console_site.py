"""The console over the tiny network: real pages, a real store, the real API; no browser.

    site = ConsoleUnderTest(served, COUNTY)
    site.sign_in("centre")
    page = site.get("/desk")

`get` and `post` send what a browser sends; a form is read from its page with `fill`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any, Self

from starlette.testclient import TestClient

from huying.hub.web.server import make_app, make_site
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.password_rules import place_words
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Role
from huying.node.web.store import ConsoleStore
from tests.support.console_people import CHEAP
from tests.support.served_network import ServedNetwork

PASSWORD = "correct-horse-battery-9"
_BOTH_SECONDS = 0.25  # then the other one is not coming


class ConsoleUnderTest:
    """One node's console. Use it as a context manager, or `close` it."""

    def __init__(
        self,
        served: ServedNetwork,
        code: str,
        *,
        second_factor: str = "optional",
        host: str = "127.0.0.1",
    ) -> None:
        config = served.configs[code]
        section = dataclasses.replace(
            config.console, listen=f"{host}:8000", second_factor=second_factor
        )
        self.config = dataclasses.replace(config, console=section)
        self.store = ConsoleStore.open(self.config.console_dir)
        self._domain = "localhost.local" if host == "localhost" else host  # as cookie jars say it
        self.clock = served.network.clock
        self.site = make_site(
            self.config, self.store, clock=self.clock, api_address=served.address(code)
        )
        # Hashes that cost next to nothing: a test signs in dozens of people.
        self.site.accounts = Accounts(self.store, CHEAP, place_words(self.config.node))
        self._client = TestClient(
            make_app(self.site), base_url=self.site.origin, follow_redirects=False
        )
        self._client.__enter__()
        self.person: Person | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.__exit__()
        self.store.close()

    def add(self, *roles: str, login: str = "", **fields: Any) -> Person:
        """An account of these roles; its password is PASSWORD."""
        now = self.clock.now()
        login = login or "-".join(roles)
        return self.site.accounts.add(
            login=login,
            name=fields.pop("name", f"测试{login}"),
            actor=fields.pop("actor", f"测-{login}"),
            roles=tuple(Role(role) for role in roles),
            password=PASSWORD,
            now=now,
            one_time=False,
            **fields,
        )

    def sign_in(self, *roles: str, login: str = "", **fields: Any) -> Person:
        """A new account of these roles, or the one of that login, signed in from now on."""
        found = self.site.accounts.by_login(login or "-".join(roles))
        person = found or self.add(*roles, login=login, **fields)
        token = self.site.sessions.begin(person.id, self.clock.now())
        self._client.cookies.clear()
        self._client.cookies.set(self.site.cookie, token, domain=self._domain, path="/")
        self.person = person
        return person

    def sign_out(self) -> None:
        self._client.cookies.clear()
        self.person = None

    def get(self, path: str, **options: Any) -> Any:
        return self._client.get(path, **options)

    def post(self, path: str, data: Any = None, **options: Any) -> Any:
        headers = {"Origin": self.site.origin, "Sec-Fetch-Site": "same-origin"}
        headers |= options.pop("headers", {})
        return self._client.post(path, data=data, headers=headers, **options)

    def fill(self, page: Any, action: str, **fields: Any) -> Any:
        """Send the form of a page whose action is `action` (or ends with it), filled in."""
        forms = [form for form in forms_of(page.text) if form.action.endswith(action)]
        assert forms, f"no form for {action}; there are {[f.action for f in forms_of(page.text)]}"
        return self.post(forms[0].action, {**forms[0].fields, **fields})


def at_once(site: ConsoleUnderTest, *sends: Callable[[], Any]) -> list[Any]:
    """Two forms sent at the same time: what is appended waits until both have come that far.

    Where the pages take one after the other, the second never does while the first one waits.
    """
    node, real, arrived = site.site.node, site.site.node.ask, 0
    both = asyncio.Event()

    async def ask(method: str, request: Any) -> Any:
        nonlocal arrived
        if method == "Append":
            arrived += 1
            if arrived == len(sends):
                both.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(both.wait(), _BOTH_SECONDS)
        return await real(method, request)

    node.ask = ask  # type: ignore[method-assign]
    try:
        with ThreadPoolExecutor(len(sends)) as pool:
            return [one.result() for one in [pool.submit(send) for send in sends]]
    finally:
        node.ask = real  # type: ignore[method-assign]


@dataclasses.dataclass(slots=True)
class HtmlForm:
    action: str
    method: str
    fields: dict[str, str]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self._inside: HtmlForm | None = None
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "form":
            self._inside = HtmlForm(given.get("action", ""), given.get("method", "get"), {})
            self.forms.append(self._inside)
        if self._inside is None:
            return
        name = given.get("name", "")
        if tag == "input" and name and given.get("type") not in ("file", "submit"):
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._inside.fields[name] = given.get("value", "on")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self._inside.fields:
                self._inside.fields[self._select] = given.get("value", "")
        elif tag == "textarea":
            self._area = name
            self._inside.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._inside is not None and self._area:
            self._inside.fields[self._area] += data


def forms_of(html: str) -> list[HtmlForm]:
    parser = _Forms()
    parser.feed(html)
    return parser.forms


def text_of(html: str) -> str:
    """What a person reads, roughly: no tags, single blanks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()
