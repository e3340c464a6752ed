"""One node's console on a real port, for a real browser; the node behind it is the tiny network's.

    served = aside(lambda: ServedNetwork(folder, patch))
    console = ServedConsole(served, VILLAGE)
    page = page_at(360, 740)
    console.sign_in(page, "worker")
    page.goto(console.url("/report"))

`stop` and `start` are the console's end and its return at the same address; `stop_node` leaves the
console alone with the database.
"""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import uvicorn
from playwright.sync_api import Page

from huying.hub.web.server import make_app, make_site
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Role
from huying.node.web.app import Site
from huying.node.web.store import ConsoleStore
from tests.support.served_network import ServedNetwork

T = TypeVar("T")
PASSWORD: Final = "correct-horse-battery-9"
_START_SECONDS: Final = 20.0


def aside(work: Callable[[], T]) -> T:
    """Do something on a thread: Playwright's loop runs in the test's own, so no other may there."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


class ServedConsole:
    """Serves from the beginning; `close` it."""

    def __init__(self, served: ServedNetwork, code: str, host: str = "127.0.0.1") -> None:
        self.served = served
        self.code = code
        self.host = host
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        config = served.configs[code]
        section = dataclasses.replace(
            config.console, listen=f"{host}:{self.port}", second_factor="optional"
        )
        self.config = dataclasses.replace(config, console=section)
        self.store = ConsoleStore.open(self.config.console_dir)
        self.clock = served.network.clock
        self.site: Site
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.start()

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    def url(self, path: str) -> str:
        return self.origin + path

    def start(self) -> None:
        """Serve, and return when connections are taken."""
        self.site = make_site(
            self.config, self.store, clock=self.clock, api_address=self.served.address(self.code)
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(self.site),
                host="127.0.0.1",
                port=self.port,
                log_config=None,
                access_log=False,
                http="h11",
                lifespan="on",
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            assert self._thread.is_alive(), "the console ended while it started"
            assert time.monotonic() < deadline, "the console did not start"
            time.sleep(0.01)  # polled: uvicorn tells nobody

    def stop(self) -> None:
        """Take no connection until `start`; the store stays open."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_START_SECONDS)
            assert not self._thread.is_alive(), "the console did not stop"
        self._server = self._thread = None

    def close(self) -> None:
        self.stop()
        self.store.close()

    def person(self, *roles: str, login: str = "", **fields: Any) -> Person:
        """The account of that login, entered now where there is none."""
        login = login or "-".join(roles)
        return self.site.accounts.by_login(login) or self.site.accounts.add(
            login=login,
            name=fields.pop("name", f"测试{login}"),
            actor=fields.pop("actor", f"测-{login}"),
            roles=tuple(Role(role) for role in roles),
            password=PASSWORD,
            now=self.clock.now(),
            one_time=False,
            **fields,
        )

    def sign_in(self, page: Page, *roles: str, login: str = "", **fields: Any) -> Person:
        """Have that person signed in in the page's browser."""
        person = self.person(*roles, login=login, **fields)
        token = self.site.sessions.begin(person.id, self.clock.now())
        page.context.add_cookies([{"name": self.site.cookie, "value": token, "url": self.origin}])
        return person

    def sign_out(self, page: Page) -> None:
        page.context.clear_cookies(name=self.site.cookie)

    def expire(self) -> None:
        """Let every session run out, by its idle time."""
        self.clock.seconds += self.config.console.idle_minutes * 60 + 1
