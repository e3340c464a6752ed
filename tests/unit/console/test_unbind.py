"""Undoing the bond with the OpenID provider: by its owner, and where a password is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.common import limits
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Role
from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY

ISSUER = "https://sso.example"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        with ConsoleUnderTest(served, COUNTY) as site:
            yield site
        served.close()


def bound(console: ConsoleUnderTest, person: Person) -> bool:
    return console.site.accounts.by_subject(ISSUER, person.login) is not None


def bind(console: ConsoleUnderTest, person: Person) -> None:
    accounts = console.site.accounts
    accounts.bind_subject(person.id, ISSUER, person.login, console.clock.now())


def test_whoever_finds_an_open_browser_undoes_no_bond(console: ConsoleUnderTest) -> None:
    """It signs its owner out everywhere, who may know no other way in."""
    person = console.add("centre", login="bound")
    bind(console, person)
    console.sign_in(login="bound")
    console.clock.seconds += limits.REAUTHENTICATED_SECONDS + 1
    answer = console.post("/oidc/unbind")
    assert answer.headers["Location"].startswith("/account/again")
    assert bound(console, person)
    console.sign_in(login="bound")
    assert console.post("/oidc/unbind").headers["Location"].startswith("/sign-in")
    assert not bound(console, person)


def test_an_account_without_a_password_keeps_its_one_way_in(console: ConsoleUnderTest) -> None:
    accounts, now = console.site.accounts, console.clock.now()
    person = accounts.add(login="guest", name="统一认证", roles=(Role.CENTRE,), now=now)
    bind(console, person)
    console.sign_in(login="guest")
    answer = console.post("/oidc/unbind")
    assert answer.status_code == 409
    assert "没有密码" in answer.text
    assert bound(console, person)
