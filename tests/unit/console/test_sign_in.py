"""The way in and the way out: passwords, codes, the first account, and what nobody is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.hub.web.site import PAGES
from huying.node.web.access.setup_link import SetupLink
from huying.node.web.access.totp import SecondFactors
from huying.node.web.local import local_path
from tests.support.console_people import CHEAP
from tests.support.console_site import PASSWORD, ConsoleUnderTest, forms_of, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, VILLAGE
from tests.unit.console.test_factor import code_at

DAY = 86_400.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        yield network
        network.close()


@pytest.fixture(scope="module")
def shared(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    with ConsoleUnderTest(served, COUNTY, second_factor="administrators") as site:
        yield site


@pytest.fixture
def console(shared: ConsoleUnderTest) -> ConsoleUnderTest:
    """Nobody is signed in; a day has passed, so that no failure of another test is remembered."""
    shared.clock.seconds += DAY
    shared.sign_out()
    return shared


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


# --- the password ----------------------------------------------------------------------------


def test_the_right_password_opens_the_page_that_was_asked_for(console: ConsoleUnderTest) -> None:
    """A link that a colleague sent must still lead where it leads after signing in."""
    console.add("centre", login="right")
    asked = console.get("/calls?stage=2&q=%E8%B7%AF")
    assert asked.status_code == 303
    page = console.get(asked.headers["location"])
    answer = console.fill(page, "/sign-in", login=" RIGHT ", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/calls?stage=2&q=%E8%B7%AF")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "domain" not in cookie
    assert console.get("/account").status_code == 200
    again = console.get("/sign-in?next=/account")  # whoever is in goes on
    assert (again.status_code, again.headers["location"]) == (303, "/account")


def test_browsers_and_password_managers_are_told_what_each_field_is(
    console: ConsoleUnderTest,
) -> None:
    """ASVS 5.0, 6.2.7: pasting and managers work, or people choose passwords they can type."""
    page = console.get("/sign-in").text
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
def test_signing_in_leads_to_no_other_site(console: ConsoleUnderTest, target: str) -> None:
    """A link to the real console that ends at a copy of it is how passwords are fished for."""
    assert local_path(target) == "/"
    if console.site.accounts.by_login("led") is None:
        console.add("centre", login="led")
    page = console.get(f"/sign-in?next={quote(target)}")
    (form,) = [one for one in forms_of(page.text) if one.method == "post"]
    assert form.fields["next"] == "/"
    given = {"login": "led", "password": PASSWORD, "next": target}
    answer = console.post("/sign-in", given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    console.sign_out()


def test_a_wrong_password_an_unknown_login_and_a_disabled_account_look_alike(
    console: ConsoleUnderTest,
) -> None:
    """Or a stranger learns, name by name, who works here and who has left."""
    console.add("centre", login="alike-known")
    gone = console.add("centre", login="alike-gone")
    console.site.accounts.disable(gone.id, console.clock.now(), keep_admin=False)
    pages = []
    for login in ("alike-known", "alike-none", "alike-gone"):
        answer = enter(console, login, "wrong password")
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "wrong password" not in answer.text
        pages.append(text_of(answer.text).replace(login, ""))
        assert f'value="{login}"' in answer.text  # what was typed stays, the password does not
    right = enter(console, "alike-gone")
    assert right.status_code == 401
    assert len(set(pages)) == 1


def test_a_flood_is_slowed_down_and_its_victim_gets_in(console: ConsoleUnderTest) -> None:
    """The right password waits too, or the answer would tell the flood that it is right."""
    console.add("centre", login="flooded")
    for _ in range(limits.LOGIN_FAILURES_MAX):
        assert enter(console, "flooded", "wrong password").status_code == 401
    early = enter(console, "flooded")
    assert early.status_code == 429
    assert int(early.headers["retry-after"]) >= 1
    assert "没有被锁定" in text_of(early.text)
    wait(console, limits.LOGIN_DELAY_SECONDS_MAX)
    assert enter(console, "flooded").status_code == 303


def test_what_was_typed_into_a_failed_sign_in_is_nowhere_in_the_trail(
    console: ConsoleUnderTest,
) -> None:
    """People type passwords into the login's field, and mistake one of theirs for another."""
    console.add("centre", login="typed")
    enter(console, "my-bank-password-77", "x")
    enter(console, "typed", "my-other-password-78")
    rows = [row for row in console.site.audit.page(action="sign-in") if row.outcome == "refused"]
    assert {row.object_ for row in rows[:2]} == {"account:?", "account:typed"}
    assert not any(word in str(rows) for word in ("my-bank", "my-other"))


def test_failures_at_logins_that_do_not_exist_fill_no_trail(console: ConsoleUnderTest) -> None:
    """A flood of invented names leaves a row a minute, and a count."""
    before = console.site.throttle.counts().failures

    def unknown() -> int:
        return len(console.site.audit.page(object_="account:?", count=200))

    rows = unknown()
    for number in range(8):
        enter(console, f"invented{number}", "x")
    assert unknown() == rows + 1
    assert console.site.throttle.counts().failures == before + 8
    wait(console, 61)
    enter(console, "invented9", "x")
    assert unknown() == rows + 2


def test_a_session_that_was_planted_in_the_browser_dies_at_the_sign_in(
    console: ConsoleUnderTest,
) -> None:
    """Session fixation: the attacker's cookie must neither be kept nor be promoted."""
    console.add("centre", login="fixed")
    attacker = console.add("centre", login="attacker")
    planted = console.site.sessions.begin(attacker.id, console.clock.now())
    page = console.get("/sign-in")
    for token in (planted, "chosen-by-somebody-else"):
        console._client.cookies.clear()
        console._client.cookies.set(console.site.cookie, token, domain="127.0.0.1")
        answer = console.fill(page, "/sign-in", login="fixed", password=PASSWORD)
        assert answer.status_code == 303
        fresh = answer.cookies.get(console.site.cookie)
        assert fresh not in (None, token)
        assert console.site.sessions.find(token, console.clock.now()) is None


def test_a_full_disk_refuses_the_sign_in_and_says_so(
    console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is let in whose coming can't be written down."""
    console.add("centre", login="full")

    def full(*_: Any, **__: Any) -> None:
        raise HuyingError(Code.DISK_FULL, "console.db: SQLITE_FULL")

    monkeypatch.setattr(console.site.audit, "write", full)
    answer = enter(console, "full")
    assert answer.status_code == 507
    assert "磁盘已满" in text_of(answer.text)
    assert "set-cookie" not in answer.headers


# --- one-time passwords ----------------------------------------------------------------------


def test_a_one_time_password_opens_the_page_that_replaces_it_and_no_other(
    console: ConsoleUnderTest,
) -> None:
    """Whoever read it out knows it."""
    site, now = console.site, console.clock.now()
    person = site.accounts.add(
        login="fresh", name="新", roles=console.add("centre", login="f2").roles,
        password="once-upon-a-time", now=now,
    )  # fmt: skip
    answer = enter(console, "fresh", "once-upon-a-time")
    assert answer.status_code == 303
    for page in PAGES:
        path = re.sub(r"\{[^}]+\}", "00" * 16, page.path)
        if page.needs is None or page.name in ("change-password", "live") or "{" in page.path:
            continue
        if page.methods == ("GET",):
            led = console.get(path)
            assert led.status_code == 303, page.name
            assert led.headers["location"].startswith("/account/password"), page.name
    led = console.get("/calls?stage=2")
    form = console.get(led.headers["location"])
    assert "一次性密码" in text_of(form.text)
    changed = console.fill(
        form, "/account/password",
        own_password="once-upon-a-time", password=PASSWORD, password_again=PASSWORD,
    )  # fmt: skip
    assert (changed.status_code, changed.headers["location"]) == (303, "/calls?stage=2")
    assert console.get("/account").status_code == 200
    found = site.accounts.by_id(person.id)
    assert found is not None
    assert not found.must_change


# --- the second factor -----------------------------------------------------------------------


def test_a_password_alone_opens_nothing_where_there_is_a_second_factor(
    console: ConsoleUnderTest,
) -> None:
    """Every page is tried: a session that has proven half is nobody's."""
    secret, _ = with_factor(console, "two")
    answer = enter(console, "two")
    assert answer.headers["location"].startswith("/second-factor")
    half = token_of(console)
    for page in PAGES:
        if page.needs is None or page.name == "sign-out" or "{" in page.path:
            continue
        if page.methods == ("GET",):
            led = console.get(page.path)
            assert led.status_code == 303, page.name
            assert led.headers["location"].startswith("/second-factor"), page.name
        else:
            led = console.post(page.path, {"draft_key": "x", "text": "x"})
            assert led.status_code == 303, page.name
            assert led.headers["location"].startswith("/second-factor"), page.name
    shown = console.get("/second-factor?next=/account")
    assert "测试two" not in shown.text  # nor is their name
    code = code_at(secret, console.clock.now())
    done = console.fill(shown, "/second-factor", code=f" {code[:3]} {code[3:]} ")
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    assert token_of(console) != half
    assert console.site.sessions.find(half, console.clock.now()) is None
    assert console.get("/account").status_code == 200


def test_a_code_that_was_used_or_guessed_is_refused_and_tries_are_few(
    console: ConsoleUnderTest,
) -> None:
    """Replay, and six digits at full speed."""
    secret, codes = with_factor(console, "replay")
    code = code_at(secret, console.clock.now())
    enter(console, "replay")
    done = console.fill(console.get("/second-factor"), "/second-factor", code=code)
    assert done.status_code == 303
    console.sign_out()
    enter(console, "replay")
    page = console.get("/second-factor")
    replayed = console.fill(page, "/second-factor", code=code)
    assert replayed.status_code == 401
    assert code not in replayed.text
    for _ in range(limits.LOGIN_FAILURES_MAX - 1):
        assert console.fill(page, "/second-factor", code="000000").status_code == 401
    assert console.fill(page, "/second-factor", code=codes[0]).status_code == 429
    refused = console.site.audit.page(action="second-factor", object_="account:replay")
    assert len(refused) == limits.LOGIN_FAILURES_MAX
    assert {row.outcome for row in refused} == {"refused"}
    wait(console, 60)
    assert console.fill(page, "/second-factor", code=codes[0]).status_code == 303
    console.sign_out()
    enter(console, "replay")
    page = console.get("/second-factor")
    assert console.fill(page, "/second-factor", code=codes[0]).status_code == 401


def test_a_code_that_comes_after_five_minutes_begins_anew(console: ConsoleUnderTest) -> None:
    """Half a sign-in on a screen that somebody left must go away."""
    secret, _ = with_factor(console, "slow")
    enter(console, "slow")
    page = console.get("/second-factor?next=/account")
    wait(console, limits.SECOND_FACTOR_SECONDS)
    code = code_at(secret, console.clock.now())
    late = console.fill(page, "/second-factor", code=code)
    assert late.headers["location"].startswith("/sign-in?next=%2Faccount")
    assert console.get("/account").status_code == 303


def test_whoever_administers_sets_a_second_factor_up_first(console: ConsoleUnderTest) -> None:
    """Accounts that make accounts are worth the most; see console.second_factor."""
    console.add("admin", login="boss")
    enter(console, "boss")
    for path in ("/people", "/audit", "/account", "/operations"):
        led = console.get(path)
        assert led.headers["location"].startswith("/account/factor"), path
    assert console.post("/people/new", {}).status_code == 303
    page = console.get("/account/factor?next=/people")
    assert page.status_code == 200
    shown = re.search(r'class="secret">([^<]+)<', page.text)
    assert shown is not None
    secret = shown[1].replace(" ", "")
    assert "data:image/svg+xml;base64," in page.text
    wrong = console.fill(page, "/account/factor", code="000000")
    assert wrong.status_code == 400
    before = token_of(console)
    code = code_at(secret, console.clock.now())
    done = console.fill(wrong, "/account/factor", code=code)
    assert done.status_code == 200
    assert len(re.findall(r"<li><code>[a-z0-9-]{14}</code>", done.text)) == limits.RECOVERY_CODES
    assert token_of(console) != before
    assert console.site.sessions.find(before, console.clock.now()) is None
    assert console.get("/people").status_code == 200


# --- signing out, and sessions that end ------------------------------------------------------


def test_whoever_signed_out_is_out_also_with_the_back_button(console: ConsoleUnderTest) -> None:
    """The next person at the desk presses it."""
    console.add("centre", login="leaving")
    enter(console, "leaving")
    token = token_of(console)
    page = console.get("/account")
    assert page.headers["cache-control"] == "no-store"
    out = console.fill(page, "/sign-out")
    assert out.headers["location"].startswith("/sign-in")
    assert token_of(console) == "None"
    console._client.cookies.set(console.site.cookie, token, domain="127.0.0.1")
    assert console.get("/account").status_code == 303


def test_a_person_who_is_disabled_in_the_middle_is_out_with_the_next_click(
    console: ConsoleUnderTest,
) -> None:
    """Not when the session ends."""
    person = console.sign_in("centre", login="middle")
    assert console.get("/account").status_code == 200
    console.site.accounts.disable(person.id, console.clock.now(), keep_admin=False)
    assert console.get("/account").headers["location"].startswith("/sign-in")
    assert console.post("/account/language", {"language": "en"}).status_code == 401


def test_a_tab_that_keeps_itself_fresh_keeps_nobody_signed_in(console: ConsoleUnderTest) -> None:
    """The queue on the wall of an empty office asks for itself all night."""
    console.sign_in("centre", login="asleep")
    for _ in range(4):
        wait(console, 10 * 60)
        answer = console.get("/account", headers={"X-Live": "1"})
    assert answer.status_code == 303
    for path, headers in (("/account", {}), ("/wall", {"X-Live": "1"})):  # at work; on the wall
        console.sign_in("centre", login="asleep")
        for _ in range(4):
            wait(console, 10 * 60)
            answer = console.get(path, headers=headers)
        assert answer.status_code == 200, path


def test_an_expired_session_leads_back_and_what_was_typed_is_there(
    console: ConsoleUnderTest,
) -> None:
    """Half an hour over one answer is a normal afternoon."""
    person = console.sign_in("centre", login="expired")
    typed = {
        "draft_key": "answer:1", "draft_page": "/account", "text": "路灯已修复",
        "own_password": "never-kept",
    }  # fmt: skip
    wait(console, 31 * 60)
    answer = console.post("/drafts", typed)
    assert answer.status_code == 401
    assert "草稿" in text_of(answer.text)
    draft = console.site.drafts.find(person.id, "answer:1")
    assert draft is not None
    assert dict(draft.fields) == {"text": "路灯已修复"}
    back = re.search(r'href="(/sign-in\?next=[^"]+)"', answer.text)
    assert back is not None
    page = console.get(back[1])
    done = console.fill(page, "/sign-in", login="expired", password=PASSWORD)
    assert done.headers["location"] == "/account"


def test_nobody_s_draft_is_written_by_somebody_else_s_old_token(
    console: ConsoleUnderTest,
) -> None:
    """A token that was ended on purpose, or long ago, or never, is nobody."""
    person = console.sign_in("centre", login="old-token")
    token = token_of(console)
    console.site.sessions.end_all(person.id)
    for one in (token, "x", ""):
        console._client.cookies.set(console.site.cookie, one, domain="127.0.0.1")
        answer = console.post("/drafts", {"draft_key": "k", "text": "x"})
        assert answer.status_code == 401
        assert "草稿" not in text_of(answer.text)
    assert console.site.drafts.keys(person.id) == ()


# --- the first account -----------------------------------------------------------------------


def test_the_set_up_link_makes_the_first_account_and_is_void(served: ServedNetwork) -> None:
    """What a technician does on day one."""
    with ConsoleUnderTest(served, VILLAGE, second_factor="administrators") as console:
        link = SetupLink(console.store, CHEAP)
        token = link.issue(console.clock.now())
        assert console.get("/set-up/wrong").status_code == 404
        page = console.get(f"/set-up/{token}")
        assert page.status_code == 200
        given = {"login": "tech", "name": "<b>赵</b>", "password": PASSWORD}
        differ = console.fill(page, f"/set-up/{token}", **given, password_again="x")
        assert differ.status_code == 400
        assert "&lt;b&gt;赵" in differ.text  # kept, and harmless
        assert PASSWORD not in differ.text
        weak = console.fill(
            page, f"/set-up/{token}",
            **(given | {"password": "password2026"}), password_again="password2026",
        )  # fmt: skip
        assert "容易先被猜中" in text_of(weak.text)
        made = console.fill(page, f"/set-up/{token}", **given, password_again=PASSWORD)
        assert made.status_code == 303
        led = console.get(made.headers["location"])  # a second factor comes first
        assert led.headers["location"].startswith("/account/factor")
        assert [row.action for row in console.site.audit.page()] == ["sign-in", "account-add"]
        console.sign_out()
        for answer in (
            console.get(f"/set-up/{token}"),
            console.post(f"/set-up/{token}", {**given, "login": "two", "password_again": PASSWORD}),
        ):
            assert answer.status_code == 404
            assert "huying console link" in answer.text
        assert console.site.accounts.count() == 1


def test_no_answer_of_the_way_in_is_kept_anywhere(console: ConsoleUnderTest) -> None:
    """A proxy or a shared browser must not show one person's page to the next."""
    for path in ("/sign-in", "/second-factor", "/set-up/x"):
        assert console.get(path).headers["cache-control"] == "no-store"
