"""What stands before every page: origin, host, size, headers; who gets which page; templates."""

from __future__ import annotations

import re

import pytest

from huying.common.errors import Code, HuyingError
from huying.hub.web.site import PAGES, STATIC, TEMPLATES
from huying.node import logs
from huying.node.web import app, guard, render
from huying.node.web.access.people import Person
from huying.node.web.access.roles import ROLES_OF_LEVEL, Permission, Role, permissions
from huying.node.web.access.scope import Scope, covers
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, raise_call

# Pages that anybody may have. Another one needs a reason, and this list a reader.
PUBLIC = {
    *("sign-in", "sign-in-check", "second-factor", "second-factor-check"),
    *("set-up", "set-up-save", "healthz", "language", "oidc-start", "oidc-callback"),
    # The shell of the report page, which a handset keeps for when it is offline: nobody's data.
    *("service-worker", "report-shell", "manifest"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        yield network
        network.close()


@pytest.fixture(scope="module")
def console(served):
    with ConsoleUnderTest(served, COUNTY) as site:
        yield site


def post(console, headers, path="/drafts", data=None):
    """As no browser of ours would: with just these headers."""
    return console._client.post(path, data=data or {"draft_key": "x"}, headers=headers)


# --- the menu ------------------------------------------------------------------------------------


def test_the_menu_says_where_one_is_also_on_a_page_below(console) -> None:
    """Who opened one account from a link still sees which part of the site it belongs to."""
    console.add("admin")
    console.sign_in("admin")
    here = re.compile(r'<a href="([^"]+)" aria-current="(\w+)"')
    assert here.findall(console.get("/people").text) == [("/people", "page")]
    assert here.findall(console.get("/people/new").text) == [("/people", "true")]
    assert here.findall(console.get("/account").text) == []


# --- the origin ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "https://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {},
    ],
    ids=str,
)
def test_a_form_from_another_site_is_refused_before_any_page_sees_it(console, headers):
    """A responder's open session must not answer calls for a page that they merely looked at."""
    console.sign_in("centre")
    assert post(console, headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8000"},
    ],
    ids=str,
)
def test_a_form_of_our_own_page_is_taken(console, headers):
    """Old browsers send just one of the two."""
    console.sign_in("centre")
    assert post(console, headers).status_code == 204


def test_a_name_that_was_pointed_at_this_address_is_not_ours(console):
    """DNS rebinding: the browser would take the attacker's page and ours for one origin."""
    answer = console.get("/healthz", headers={"Host": "evil.example"})
    assert answer.status_code == 421


def test_no_method_but_get_and_post_is_answered(console):
    console.sign_in("centre")
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        answer = console._client.request(method, "/drafts", headers={"Origin": console.site.origin})
        assert answer.status_code == 405, method


def test_pages_know_two_methods():
    for page in PAGES:
        assert set(page.methods) <= {"GET", "POST"}, page.name


# --- the size ------------------------------------------------------------------------------------


def test_a_body_beyond_the_page_s_limit_is_refused(console):
    console.sign_in("centre")
    data = {"draft_key": "x", "text": "a" * (300 * 1024)}
    answer = post(console, {"Origin": console.site.origin}, data=data)
    assert answer.status_code == 413


def test_a_body_that_lies_about_its_length_is_cut(console):
    """Chunked, without a Content-Length: counted as it comes."""
    console.sign_in("centre")

    def chunks():
        for _ in range(64):
            yield b"a" * 16 * 1024

    answer = console._client.post(
        "/drafts",
        content=chunks(),
        headers={
            "Origin": console.site.origin,
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert answer.status_code == 413


def test_a_field_of_control_characters_is_refused_and_a_long_one_named(console):
    console.sign_in("centre")
    answer = console.post("/drafts", {"draft_key": "a\x00b"})
    assert answer.status_code == 400
    answer = console.post("/drafts", {"draft_key": "a" * 5000})
    assert answer.status_code == 400
    assert "草稿:最多" in text_of(answer.text)


# --- headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/sign-in", "/no-such-page", "/static/node/console.css"])
def test_every_answer_carries_the_headers(console, path):
    console.sign_out()
    headers = console.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers
    if not path.startswith("/static"):
        assert headers["cache-control"] == "no-store"


def test_the_session_s_cookie_is_for_the_browser_alone(console):
    """No script reads it, no other site sends it."""
    assert app.cookie_name(COUNTY, is_tls=True) == f"__Host-huying-{COUNTY}"
    assert app.cookie_name(COUNTY, is_tls=False) != app.cookie_name(TOWN, is_tls=False)


# --- who gets which page -------------------------------------------------------------------------


def test_public_pages_are_the_few_that_must_be():
    assert {page.name for page in PAGES if page.needs is None} <= PUBLIC


def test_every_page_without_a_session_leads_to_the_sign_in_page(console):
    console.sign_out()
    for page in PAGES:
        if page.name in PUBLIC:
            continue
        path = re.sub(r"\{[^}]+\}", "00" * 16, page.path)
        if "GET" in page.methods:
            answer = console.get(path)
            assert answer.status_code == 303, page.name
            assert answer.headers["location"].startswith("/sign-in?next="), page.name
        if "POST" in page.methods:
            answer = console.post(path, {"text": "x"})
            assert answer.status_code == 401, page.name


@pytest.mark.parametrize("role", list(Role), ids=str)
def test_a_page_whose_permission_a_role_lacks_is_refused(console, role):
    """By hand-made requests, too: the menu is no lock."""
    department = "水务局" if role is Role.DEPARTMENT else ""
    console.sign_in(role.value, login=f"only-{role.value}", department=department)
    granted = permissions((role,))
    for page in PAGES:
        if page.needs is None or {page.needs, page.also} & granted:
            continue
        path = re.sub(r"\{[^}]+\}", "00" * 16, page.path)
        for method in page.methods:
            answer = console.get(path) if method == "GET" else console.post(path, {})
            assert answer.status_code == 403, (role, page.name, method)


def test_every_permission_is_somebody_s_and_every_role_has_a_tier():
    held = frozenset().union(*(permissions((role,)) for role in Role))
    assert held == set(Permission)
    assert {role for roles in ROLES_OF_LEVEL.values() for role in roles} == set(Role)


# --- the scope -----------------------------------------------------------------------------------


def person(*roles, **fields):
    known = {"department": "", "area": "", **fields}
    return Person(
        id="p",
        login="p",
        name="p",
        actor="p",
        roles=roles,
        language="zh",
        disabled=False,
        must_change=False,
        has_second_factor=False,
        **known,
    )


@pytest.mark.parametrize(
    ("area", "code", "inside"),
    [
        ("", VILLAGE, True),
        (TOWN, VILLAGE, True),
        (TOWN, TOWN, True),
        (TOWN, COUNTY, False),
        (VILLAGE, TOWN, False),
        (VILLAGE, f"{VILLAGE}001", True),
        (f"{VILLAGE}001", f"{VILLAGE}001", True),
        (f"{VILLAGE}001", f"{VILLAGE}002", False),
        (f"{VILLAGE}001", VILLAGE, False),
        ("370830108201", "370830108202", False),
        (COUNTY, TOWN, True),
    ],
)
def test_an_area_holds_what_lies_below_it_and_nothing_beside(area, code, inside):
    assert covers(area, code) is inside


def test_a_person_bound_to_one_village_cannot_see_the_next_one_s_records():
    scope = Scope(person(Role.WORKER, area=VILLAGE))
    scope.record(VILLAGE)
    with pytest.raises(HuyingError, match="NOT_FOUND"):
        scope.record("370830108202")


def test_a_department_sees_the_calls_it_leads_or_helps_with():
    scope = Scope(person(Role.DEPARTMENT, department="水务局"))
    call = {"caller": TOWN, "village": VILLAGE, "grid": ""}
    assert scope.sees_call(**call, department="水务局")
    assert scope.sees_call(**call, department="住建局", helpers=["水务局"])
    assert not scope.sees_call(**call, department="住建局")
    both = Scope(person(Role.DEPARTMENT, Role.CENTRE, department="水务局"))
    assert both.sees_call(**call, department="住建局")


def test_who_asks_for_what_lies_beyond_is_in_the_trail(console, served):
    """The answer tells nothing; the trail tells who tried."""
    call = served.thread.run(_raised(served))
    console.sign_in("director", login="elsewhere", area="370830101000")
    assert console.get(f"/calls/{call.hex()}").status_code == 404
    newest = console.site.audit.page()[0]
    assert (newest.action, newest.outcome) == ("out-of-scope", "refused")


def test_what_lies_beyond_is_not_found_though_the_trail_can_not_be_written(
    console, served, monkeypatch
):
    """Another answer would tell that there is something."""
    call = served.thread.run(_raised(served))
    console.sign_in("director", login="elsewhere-too", area="370830101000")

    def busy(*_args, **_more):
        raise HuyingError(Code.BUSY, "console.db: another program has been writing it")

    monkeypatch.setattr(console.site.audit, "write", busy)
    assert console.get(f"/calls/{call.hex()}").status_code == 404


def test_the_address_of_a_refused_form_leads_to_the_page_that_the_form_is_of(console, served):
    """Who changes the language there, or loads it again, has asked for an address of no page."""
    call = served.thread.run(_raised(served))
    console.sign_in("centre", login="turner")
    refused = f"/calls/{call.hex()}/drafts/answer/discard"
    assert console.get(refused).headers["Location"] == f"/calls/{call.hex()}"
    assert console.get("/measures/turns/x").status_code == 404, "no address of ours at all"
    assert console.get("/sign-out").status_code == 405, "nothing stands above it"


def test_a_form_without_a_draft_is_given_back_where_its_session_ran_out(console):
    """A worker typed in a whole resident and was called away: half an hour later all was gone."""
    console.sign_in("centre", login="called-away")
    fields = {"confirmed": "1", "reason": "请抓紧,<b>群众</b>在等", "request_id": "ab" * 16}
    console.clock.seconds += 31 * 60
    answer = console.post("/queue/urge", fields)
    assert answer.status_code == 401
    (form,) = [one for one in forms_of(answer.text) if one.action == "/queue/urge"]
    assert form.fields == fields
    assert "请抓紧,&lt;b&gt;群众" in answer.text
    stranger = console.post("/queue/urge", fields, headers={"Cookie": "huying-370830000000=x"})
    assert stranger.status_code == 401
    more = dict.fromkeys(("one", "two"), "长" * 7000)
    long = console.post("/queue/urge", {**fields, **more, "draft_key": "k"})
    assert "再提交一次" in long.text, "it is too long for a draft"


async def _raised(served):
    return raise_call(served.network)


def test_refusals_before_any_page_are_logged_and_a_flood_is_counted(console, monkeypatch):
    said = []
    monkeypatch.setattr(logs, "say", lambda event, **values: said.append((event, values)))
    monkeypatch.setattr(guard, "_SAY_SECONDS", 3600.0)
    refusing = guard.Guard(_nowhere, console.site.origin, lambda _path: 1)
    for _ in range(5):
        refusing._say(403, "/drafts")
    assert said == [("console_refused", {"status": 403, "path": "/drafts", "count": 1})]
    assert refusing._refused == 4


async def _nowhere(scope, receive, send):
    raise AssertionError("nothing is passed on")


# --- templates -----------------------------------------------------------------------------------


def templates():
    return sorted([*render.TEMPLATES.rglob("*.html"), *TEMPLATES.rglob("*.html")])


@pytest.mark.parametrize("template", templates(), ids=lambda path: path.name)
def test_a_template_marks_nothing_safe_and_carries_no_script_or_style(template):
    """The policy would block them, in front of whoever uses the page."""
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|Markup|autoescape false", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=\s*[\"']", text)
    assert "javascript:" not in text
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", text), "an address elsewhere"


@pytest.mark.parametrize(
    "file",
    sorted([*app.STATIC.rglob("*.*"), *STATIC.rglob("*.*")]),
    ids=lambda path: path.name,
)
def test_a_static_file_asks_nobody_else_for_anything(file):
    """The county's network has no way out."""
    text = file.read_text(encoding="utf-8")
    found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text)
    assert [one for one in found if "www.w3.org" not in one] == []


def test_what_people_typed_is_escaped_in_every_template():
    found = render.environment((render.TEMPLATES,)).from_string("{{ x }}").render(x="<b>&'\"")
    assert "<b>" not in found
