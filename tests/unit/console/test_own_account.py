"""One's own account, as pages: the password, the second factor, the sessions, the language.

Whoever finds an open tab must not get the account with it, and its owner sees and ends every
session of theirs.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from huying.common import limits
from huying.node.web.access.account_words import device
from tests.support.console_site import PASSWORD, ConsoleUnderTest, text_of
from tests.unit.console.people_desk import OTHER, newest
from tests.unit.console.test_factor import code_at


def test_a_password_is_changed_by_who_knows_the_one_before(console: ConsoleUnderTest) -> None:
    """An open tab alone must not be enough to take an account over."""
    person = console.sign_in("centre", login="own")
    elsewhere = console.site.sessions.begin(person.id, console.clock.now())
    here = str(console._client.cookies.get(console.site.cookie))
    page = console.get("/account/password")
    for given, said in (
        ({"own_password": "wrong", "password": OTHER, "password_again": OTHER}, "密码不对"),
        ({"own_password": PASSWORD, "password": OTHER, "password_again": "x"}, "不一致"),
        ({"own_password": PASSWORD, "password": "123456789012", "password_again": "123456789012"},
         "容易先被猜中"),
        ({"own_password": PASSWORD, "password": "short", "password_again": "short"}, "12 至 128"),
        ({"own_password": PASSWORD, "password": PASSWORD, "password_again": PASSWORD}, "相同"),
    ):  # fmt: skip
        refused = console.fill(page, "/account/password", **given)
        assert refused.status_code == 400
        assert said in text_of(refused.text)
        assert OTHER not in refused.text
    changed = console.fill(
        page, "/account/password", own_password=PASSWORD, password=OTHER, password_again=OTHER
    )
    assert changed.status_code == 303
    now = console.clock.now()
    assert console.site.sessions.find(elsewhere, now) is None
    assert console.site.sessions.find(here, now) is None
    assert console.get("/account").status_code == 200  # with the new token
    assert newest(console) == ("own", "password-change", "account:own")
    assert console.site.accounts.check_password("own", OTHER, now) is not None


def test_tries_at_one_s_own_password_are_slowed_down(console: ConsoleUnderTest) -> None:
    """Whoever finds an open tab would otherwise guess there, at leisure."""
    console.sign_in("centre", login="guessed")
    console.clock.seconds += limits.REAUTHENTICATED_SECONDS
    page = console.get("/account/again?next=/account/factor")
    for _ in range(limits.LOGIN_FAILURES_MAX):
        answer = console.fill(page, "/account/again", own_password="wrong")
        assert "密码不对" in text_of(answer.text)
    answer = console.fill(page, "/account/again", own_password=PASSWORD)
    assert "请 1 秒后再试" in text_of(answer.text)
    refused = console.site.audit.page(action="password-ask", object_="account:guessed")
    assert len(refused) == limits.LOGIN_FAILURES_MAX


def test_a_second_factor_asks_for_the_password_when_it_was_given_long_ago(
    console: ConsoleUnderTest,
) -> None:
    """The drawer with the recovery codes is not opened by an open tab."""
    person = console.sign_in("centre", login="factor")
    secret = re.search(r'class="secret">([^<]+)<', console.get("/account/factor").text)
    assert secret is not None
    now = console.clock.now()
    done = console.fill(
        console.get("/account/factor"), "/account/factor",
        code=code_at(secret[1].replace(" ", ""), now),
    )  # fmt: skip
    assert done.status_code == 200
    shown = console.get("/account/factor")
    assert "恢复码剩 10 条" in text_of(shown.text)
    console.clock.seconds += limits.REAUTHENTICATED_SECONDS
    for path in ("/account/factor/codes", "/account/factor/drop"):
        led = console.post(path, {})
        assert led.headers["location"] == "/account/again?next=%2Faccount%2Ffactor"
    before = str(console._client.cookies.get(console.site.cookie))
    again = console.get(led.headers["location"])
    back = console.fill(again, "/account/again", own_password=PASSWORD)
    assert back.headers["location"] == "/account/factor"
    assert console.site.sessions.find(before, console.clock.now()) is None  # another token
    codes = console.fill(console.get("/account/factor"), "/account/factor/codes")
    assert len(re.findall(r"<li><code>", codes.text)) == limits.RECOVERY_CODES
    dropped = console.fill(console.get("/account/factor"), "/account/factor/drop")
    assert dropped.headers["location"].startswith("/sign-in")
    found = console.site.accounts.by_id(person.id)
    assert found is not None
    assert not found.has_second_factor
    assert console.get("/account").status_code == 303


def test_sessions_are_listed_and_ended_by_their_owner_alone(console: ConsoleUnderTest) -> None:
    """A handset that was lost is signed out from the desk."""
    other = console.add("centre", login="others")
    now = console.clock.now()
    theirs = console.site.sessions.begin(other.id, now)
    (their_row,) = console.site.sessions.list(other.id, now)
    person = console.sign_in("centre", login="sessions")
    lost = console.site.sessions.begin(
        person.id, now - 60, address="10.9.8.7", agent="Mozilla/5.0 (Linux; Android 13) Chrome/99"
    )
    page = console.get("/account")
    assert "Chrome · 安卓" in text_of(page.text)
    assert "10.9.8.7" in page.text
    row = next(one for one in console.site.sessions.list(person.id, now) if one.address)
    for session in (row.id, their_row.id, "nonsense"):
        assert console.post("/account/sessions/end", {"session": session}).status_code == 303
    assert console.site.sessions.find(lost, now) is None
    assert console.site.sessions.find(theirs, now) is not None
    assert console.get("/account").status_code == 200
    console.fill(console.get("/account"), "/account/sessions/end-all")
    assert console.site.sessions.list(person.id, now) == ()


def test_ending_another_session_asks_who_sits_there(console: ConsoleUnderTest) -> None:
    """Whoever finds an open browser must not shut its owner out everywhere else; going is free."""
    person = console.sign_in("centre", login="left-open")
    now = console.clock.now()
    elsewhere = console.site.sessions.begin(person.id, now, address="10.9.8.7")
    row = next(one for one in console.site.sessions.list(person.id, now) if one.address)
    console.clock.seconds += limits.REAUTHENTICATED_SECONDS
    now = console.clock.now()
    for path, data in (
        ("/account/sessions/end", {"session": row.id}),
        ("/account/sessions/end-all", {}),
    ):
        answer = console.post(path, data)
        assert answer.headers["location"] == "/account/again?next=%2Faccount"
    assert console.site.sessions.find(elsewhere, now) is not None
    console.fill(
        console.get("/account/again?next=/account"), "/account/again", own_password=PASSWORD
    )
    console.post("/account/sessions/end", {"session": row.id})
    assert console.site.sessions.find(elsewhere, now) is None


def test_the_language_is_remembered_with_the_account(console: ConsoleUnderTest) -> None:
    """Whoever reads English reads it on every device."""
    person = console.sign_in("centre", login="reader")
    console.fill(console.get("/account"), "/account/language", language="en")
    assert "My account" in console.get("/account").text
    console._client.cookies.delete("huying-language")
    assert "My account" in console.get("/account").text
    found = console.site.accounts.by_id(person.id)
    assert found is not None
    assert found.language == "en"
    console.fill(console.get("/account"), "/account/language", language="<b>")
    assert "我的账号" in console.get("/account").text
    console._client.cookies.delete("huying-language")


class Reader:
    """As much of an Ask as words need."""

    def __init__(self, language: str) -> None:
        self.language = language

    def t(self, zh: str, en: str) -> str:
        return en if self.language == "en" else zh


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537 Edg/120", "Edge · Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17 like Mac OS X) Safari/604", "Safari · iPhone"),
        ("Mozilla/5.0 (Linux; Android 13) Chrome/99 MicroMessenger/8", "微信 · 安卓"),
        ("Mozilla/5.0 (X11; Linux x86_64) Firefox/115", "Firefox · Linux"),
        ("curl/8", "未知设备"),
        ("", "未知设备"),
    ],
)
def test_devices_are_told_apart_in_a_few_words(agent: str, shown: str) -> None:
    """Whoever looks for the lost handset in the list looks for 安卓, and no version number."""
    reader: Any = Reader("zh")
    assert device(reader, agent) == shown
