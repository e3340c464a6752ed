"""The sign-in form as a browser fills it in, and a person with a second factor."""

from __future__ import annotations

from typing import Any

from huying.node.web.access.totp import SecondFactors
from tests.support.console_people import CHEAP
from tests.support.console_site import PASSWORD, ConsoleUnderTest
from tests.unit.console.test_factor import code_at

__all__ = ["enter", "token_of", "wait", "with_factor"]


def wait(console: ConsoleUnderTest, seconds: float) -> None:
    console.clock.seconds += seconds


def enter(console: ConsoleUnderTest, login: str, password: str = PASSWORD, **fields: str) -> Any:
    """Fill in the sign-in form, as a browser does; its cookies are kept."""
    page = console.get("/sign-in", **fields)
    return console.fill(page, "/sign-in", login=login, password=password)


def token_of(console: ConsoleUnderTest) -> str:
    return str(console._client.cookies.get(console.site.cookie))


def with_factor(console: ConsoleUnderTest, login: str) -> tuple[str, tuple[str, ...]]:
    """A person with a second factor: its secret, and the recovery codes."""
    person = console.add("centre", login=login)
    now = console.clock.now()
    factors = SecondFactors(console.store, "汶上县", CHEAP)
    offer = factors.offer(person.id, now)
    codes = factors.confirm(person.id, code_at(offer.secret, now), now)
    assert codes is not None
    wait(console, 60)
    return offer.secret, codes
