"""The way in: passwords, codes, the first account, and what nobody is told."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.hub.web.site import PAGES
from huying.node.web.access.setup_link import SetupLink
from huying.node.web.local import local_path
from tests.support.console_people import CHEAP
from tests.support.console_site import PASSWORD, ConsoleUnderTest, forms_of, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE
from tests.unit.console.sign_in_desk import enter, token_of, wait, with_factor
from tests.unit.console.test_factor import code_at


def test_the_right_password_opens_the_page_that_was_asked_for(door: ConsoleUnderTest) -> None:
    """A link that a colleague sent must still lead where it leads after signing in."""
    door.add("centre", login="right")
    asked = door.get("/calls?stage=2&q=%E8%B7%AF")
    assert asked.status_code == 303
    page = door.get(asked.headers["location"])
    answer = door.fill(page, "/sign-in", login=" RIGHT ", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/calls?stage=2&q=%E8%B7%AF")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "domain" not in cookie
    assert door.get("/account").status_code == 200
    again = door.get("/sign-in?next=/account")  # whoever is in goes on
    assert (again.status_code, again.headers["location"]) == (303, "/account")


def test_browsers_and_password_managers_are_told_what_each_field_is(
    door: ConsoleUnderTest,
) -> None:
    """ASVS 5.0, 6.2.7: pasting and managers work, or people choose passwords they can type."""
    page = door.get("/sign-in").text
    assert re.search(r'name="login"[^>]*autocomplete="username"', page)
    assert re.search(r'type="password"[^>]*autocomplete="current-password"', page)
    assert "onpaste" not in page


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil.example",
        " /calls",
        "/calls#x",
        "/" + "x" * 2000,
        "",
    ],
)
def test_signing_in_leads_to_no_other_site(door: ConsoleUnderTest, target: str) -> None:
    """A link to the real console that ends at a copy of it is how passwords are fished for."""
    assert local_path(target) == "/"
    if door.site.accounts.by_login("led") is None:
        door.add("centre", login="led")
    page = door.get(f"/sign-in?next={quote(target)}")
    (form,) = [one for one in forms_of(page.text) if one.method == "post"]
    assert form.fields["next"] == "/"
    given = {"login": "led", "password": PASSWORD, "next": target}
    answer = door.post("/sign-in", given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    door.sign_out()


def test_a_wrong_password_an_unknown_login_and_a_disabled_account_look_alike(
    door: ConsoleUnderTest,
) -> None:
    """Or a stranger learns, name by name, who works here and who has left."""
    door.add("centre", login="alike-known")
    gone = door.add("centre", login="alike-gone")
    door.site.accounts.disable(gone.id, door.clock.now(), keep_admin=False)
    pages = []
    for login in ("alike-known", "alike-none", "alike-gone"):
        answer = enter(door, login, "wrong password")
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "wrong password" not in answer.text
        pages.append(text_of(answer.text).replace(login, ""))
        assert f'value="{login}"' in answer.text  # what was typed stays, the password does not
    right = enter(door, "alike-gone")
    assert right.status_code == 401
    assert len(set(pages)) == 1


def test_a_flood_is_slowed_down_and_its_victim_gets_in(door: ConsoleUnderTest) -> None:
    """The right password waits too, or the answer would tell the flood that it is right."""
    door.add("centre", login="flooded")
    for _ in range(limits.LOGIN_FAILURES_MAX):
        assert enter(door, "flooded", "wrong password").status_code == 401
    early = enter(door, "flooded")
    assert early.status_code == 429
    assert int(early.headers["retry-after"]) >= 1
    assert "没有被锁定" in text_of(early.text)
    wait(door, limits.LOGIN_DELAY_SECONDS_MAX)
    assert enter(door, "flooded").status_code == 303


def test_what_was_typed_into_a_failed_sign_in_is_nowhere_in_the_trail(
    door: ConsoleUnderTest,
) -> None:
    """People type passwords into the login's field, and mistake one of theirs for another."""
    door.add("centre", login="typed")
    enter(door, "my-bank-password-77", "x")
    enter(door, "typed", "my-other-password-78")
    rows = [row for row in door.site.audit.page(action="sign-in") if row.outcome == "refused"]
    assert {row.object_ for row in rows[:2]} == {"account:?", "account:typed"}
    assert not any(word in str(rows) for word in ("my-bank", "my-other"))


def test_failures_at_logins_that_do_not_exist_fill_no_trail(door: ConsoleUnderTest) -> None:
    """A flood of invented names leaves a row a minute, and a count."""
    before = door.site.throttle.counts().failures

    def unknown() -> int:
        return len(door.site.audit.page(object_="account:?", count=200))

    rows = unknown()
    for number in range(8):
        enter(door, f"invented{number}", "x")
    assert unknown() == rows + 1
    assert door.site.throttle.counts().failures == before + 8
    wait(door, 61)
    enter(door, "invented9", "x")
    assert unknown() == rows + 2


def test_a_session_that_was_planted_in_the_browser_dies_at_the_sign_in(
    door: ConsoleUnderTest,
) -> None:
    """Session fixation: the attacker's cookie must neither be kept nor be promoted."""
    door.add("centre", login="fixed")
    attacker = door.add("centre", login="attacker")
    planted = door.site.sessions.begin(attacker.id, door.clock.now())
    page = door.get("/sign-in")
    for token in (planted, "chosen-by-somebody-else"):
        door._client.cookies.clear()
        door._client.cookies.set(door.site.cookie, token, domain="127.0.0.1")
        answer = door.fill(page, "/sign-in", login="fixed", password=PASSWORD)
        assert answer.status_code == 303
        fresh = answer.cookies.get(door.site.cookie)
        assert fresh not in (None, token)
        assert door.site.sessions.find(token, door.clock.now()) is None


def test_a_full_disk_refuses_the_sign_in_and_says_so(
    door: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is let in whose coming can't be written down."""
    door.add("centre", login="full")

    def full(*_: Any, **__: Any) -> None:
        raise HuyingError(Code.DISK_FULL, "console.db: SQLITE_FULL")

    monkeypatch.setattr(door.site.audit, "write", full)
    answer = enter(door, "full")
    assert answer.status_code == 507
    assert "磁盘已满" in text_of(answer.text)
    assert "set-cookie" not in answer.headers


def test_a_one_time_password_opens_the_page_that_replaces_it_and_no_other(
    door: ConsoleUnderTest,
) -> None:
    """Whoever read it out knows it."""
    site, now = door.site, door.clock.now()
    person = site.accounts.add(
        login="fresh", name="新", roles=door.add("centre", login="f2").roles,
        password="once-upon-a-time", now=now,
    )  # fmt: skip
    answer = enter(door, "fresh", "once-upon-a-time")
    assert answer.status_code == 303
    for page in PAGES:
        path = re.sub(r"\{[^}]+\}", "00" * 16, page.path)
        if page.needs is None or page.name in ("change-password", "live") or "{" in page.path:
            continue
        if page.methods == ("GET",):
            led = door.get(path)
            assert led.status_code == 303, page.name
            assert led.headers["location"].startswith("/account/password"), page.name
    led = door.get("/calls?stage=2")
    form = door.get(led.headers["location"])
    assert "一次性密码" in text_of(form.text)
    changed = door.fill(
        form, "/account/password",
        own_password="once-upon-a-time", password=PASSWORD, password_again=PASSWORD,
    )  # fmt: skip
    assert (changed.status_code, changed.headers["location"]) == (303, "/calls?stage=2")
    assert door.get("/account").status_code == 200
    found = site.accounts.by_id(person.id)
    assert found is not None
    assert not found.must_change


def test_a_password_alone_opens_nothing_where_there_is_a_second_factor(
    door: ConsoleUnderTest,
) -> None:
    """Every page is tried: a session that has proven half is nobody's."""
    secret, _ = with_factor(door, "two")
    answer = enter(door, "two")
    assert answer.headers["location"].startswith("/second-factor")
    half = token_of(door)
    for page in PAGES:
        if page.needs is None or page.name == "sign-out" or "{" in page.path:
            continue
        if page.methods == ("GET",):
            led = door.get(page.path)
            assert led.status_code == 303, page.name
            assert led.headers["location"].startswith("/second-factor"), page.name
        else:
            led = door.post(page.path, {"draft_key": "x", "text": "x"})
            assert led.status_code == 303, page.name
            assert led.headers["location"].startswith("/second-factor"), page.name
    shown = door.get("/second-factor?next=/account")
    assert "测试two" not in shown.text  # nor is their name
    code = code_at(secret, door.clock.now())
    done = door.fill(shown, "/second-factor", code=f" {code[:3]} {code[3:]} ")
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    assert token_of(door) != half
    assert door.site.sessions.find(half, door.clock.now()) is None
    assert door.get("/account").status_code == 200


def test_a_code_that_was_used_or_guessed_is_refused_and_tries_are_few(
    door: ConsoleUnderTest,
) -> None:
    """Replay, and six digits at full speed."""
    secret, codes = with_factor(door, "replay")
    code = code_at(secret, door.clock.now())
    enter(door, "replay")
    done = door.fill(door.get("/second-factor"), "/second-factor", code=code)
    assert done.status_code == 303
    door.sign_out()
    enter(door, "replay")
    page = door.get("/second-factor")
    replayed = door.fill(page, "/second-factor", code=code)
    assert replayed.status_code == 401
    assert code not in replayed.text
    for _ in range(limits.LOGIN_FAILURES_MAX - 1):
        assert door.fill(page, "/second-factor", code="000000").status_code == 401
    assert door.fill(page, "/second-factor", code=codes[0]).status_code == 429
    refused = door.site.audit.page(action="second-factor", object_="account:replay")
    assert len(refused) == limits.LOGIN_FAILURES_MAX
    assert {row.outcome for row in refused} == {"refused"}
    wait(door, 60)
    assert door.fill(page, "/second-factor", code=codes[0]).status_code == 303
    door.sign_out()
    enter(door, "replay")
    page = door.get("/second-factor")
    assert door.fill(page, "/second-factor", code=codes[0]).status_code == 401


def test_a_code_that_comes_after_five_minutes_begins_anew(door: ConsoleUnderTest) -> None:
    """Half a sign-in on a screen that somebody left must go away."""
    secret, _ = with_factor(door, "slow")
    enter(door, "slow")
    page = door.get("/second-factor?next=/account")
    wait(door, limits.SECOND_FACTOR_SECONDS)
    code = code_at(secret, door.clock.now())
    late = door.fill(page, "/second-factor", code=code)
    assert late.headers["location"].startswith("/sign-in?next=%2Faccount")
    assert door.get("/account").status_code == 303


def test_whoever_administers_sets_a_second_factor_up_first(door: ConsoleUnderTest) -> None:
    """Accounts that make accounts are worth the most; see console.second_factor."""
    door.add("admin", login="boss")
    enter(door, "boss")
    for path in ("/people", "/audit", "/account", "/operations"):
        led = door.get(path)
        assert led.headers["location"].startswith("/account/factor"), path
    assert door.post("/people/new", {}).status_code == 303
    page = door.get("/account/factor?next=/people")
    assert page.status_code == 200
    shown = re.search(r'class="secret">([^<]+)<', page.text)
    assert shown is not None
    secret = shown[1].replace(" ", "")
    assert "data:image/svg+xml;base64," in page.text
    wrong = door.fill(page, "/account/factor", code="000000")
    assert wrong.status_code == 400
    before = token_of(door)
    code = code_at(secret, door.clock.now())
    done = door.fill(wrong, "/account/factor", code=code)
    assert done.status_code == 200
    assert len(re.findall(r"<li><code>[a-z0-9-]{14}</code>", done.text)) == limits.RECOVERY_CODES
    assert token_of(door) != before
    assert door.site.sessions.find(before, door.clock.now()) is None
    assert door.get("/people").status_code == 200


def test_the_set_up_link_makes_the_first_account_and_is_void(served: ServedNetwork) -> None:
    """What a technician does on day one."""
    with ConsoleUnderTest(served, VILLAGE, second_factor="administrators") as door:
        link = SetupLink(door.store, CHEAP)
        token = link.issue(door.clock.now())
        assert door.get("/set-up/wrong").status_code == 404
        page = door.get(f"/set-up/{token}")
        assert page.status_code == 200
        given = {"login": "tech", "name": "<b>赵</b>", "password": PASSWORD}
        differ = door.fill(page, f"/set-up/{token}", **given, password_again="x")
        assert differ.status_code == 400
        assert "&lt;b&gt;赵" in differ.text  # kept, and harmless
        assert PASSWORD not in differ.text
        weak = door.fill(
            page, f"/set-up/{token}",
            **(given | {"password": "password2026"}), password_again="password2026",
        )  # fmt: skip
        assert "容易先被猜中" in text_of(weak.text)
        made = door.fill(page, f"/set-up/{token}", **given, password_again=PASSWORD)
        assert made.status_code == 303
        led = door.get(made.headers["location"])  # a second factor comes first
        assert led.headers["location"].startswith("/account/factor")
        assert [row.action for row in door.site.audit.page()] == ["sign-in", "account-add"]
        door.sign_out()
        for answer in (
            door.get(f"/set-up/{token}"),
            door.post(f"/set-up/{token}", {**given, "login": "two", "password_again": PASSWORD}),
        ):
            assert answer.status_code == 404
            assert "huying console link" in answer.text
        assert door.site.accounts.count() == 1


def test_no_answer_of_the_way_in_is_kept_anywhere(door: ConsoleUnderTest) -> None:
    """A proxy or a shared browser must not show one person's page to the next."""
    for path in ("/sign-in", "/second-factor", "/set-up/x"):
        assert door.get(path).headers["cache-control"] == "no-store"
