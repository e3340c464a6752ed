"""Other people's accounts, and the trail of who did what, as pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access import audit_pages, people_pages
from huying.node.web.access.audit_words import ACTIONS
from huying.node.web.access.password_rules import check_password_choice
from huying.node.web.access.people import check_area, check_person, parse_login
from huying.node.web.access.roles import Permission, Role, permissions
from huying.node.web.access.totp import SecondFactors
from huying.node.web.refusals import plain
from tests.support.console_people import CHEAP
from tests.support.console_site import PASSWORD, ConsoleUnderTest, text_of
from tests.support.places import ROOT
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.people_desk import EVIL, add, drawn, newest
from tests.unit.console.test_audit import tamper
from tests.unit.console.test_factor import code_at


def test_a_person_is_entered_and_their_password_shown_once(console: ConsoleUnderTest) -> None:
    """The administrator hands over a slip of paper, and forgets what is on it."""
    made = add(console, "Li.Si", "department", department="民政局", actor="县-民政局-11")
    assert made.status_code == 200
    password = drawn(made)
    assert newest(console) == ("admin", "account-add", "account:li.si")
    now = console.clock.now()
    person = console.site.accounts.check_password("li.si", password, now)
    assert person is not None
    assert (person.roles, person.department, person.must_change) == (
        (Role.DEPARTMENT,), "民政局", True
    )  # fmt: skip
    for path in ("/people", f"/people/{person.id}", "/audit"):
        assert password not in console.get(path).text, path
    listed = text_of(console.get("/people?q=民政局").text)
    assert "li.si" in listed
    assert "部门办理人" in listed
    assert "li.si" not in text_of(console.get("/people?state=disabled").text)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"login": "x"}, "登录名须有"),
        ({"login": "admin"}, "已有人使用"),
        ({"name": ""}, "请填写姓名"),
        ({"role": []}, "至少勾选一个"),
        ({"role": ["worker"]}, "至少勾选一个"),
        ({"role": ["department"]}, "须填写所属部门"),
        ({"area": "371000000000"}, "须在本节点辖区内"),
        ({"area": "37"}, "12 位区划代码"),
        ({"language": "fr"}, "语言"),
    ],
)
def test_a_form_that_can_t_be_taken_comes_back_with_what_was_typed(
    console: ConsoleUnderTest, fields: dict[str, Any], said: str
) -> None:
    """Nothing is entered, nothing typed is lost, and the reason is in the reader's language."""
    count = console.site.accounts.count()
    page = console.get("/people/new")
    typed = {"login": "typed.login", "name": "很长的名字", "role": ["centre"], "actor": "县-9"}
    answer = console.fill(page, "/people/new", **(typed | fields))
    assert answer.status_code == 400
    assert said in text_of(answer.text)
    for value in (typed | fields).values():
        assert isinstance(value, list) or value in answer.text
    assert console.site.accounts.count() == count


def test_other_rights_end_the_sessions_and_another_name_does_not(
    console: ConsoleUnderTest,
) -> None:
    """A clerk who was moved to another desk must not go on at the old one."""
    person = console.add("centre", login="moved")
    now = console.clock.now()
    token = console.site.sessions.begin(person.id, now)
    page = console.get(f"/people/{person.id}")
    unchanged = console.fill(page, f"/people/{person.id}")
    assert "notice=unchanged" in unchanged.headers["location"]
    renamed = console.fill(page, f"/people/{person.id}", name="新名字")
    assert "notice=saved" in renamed.headers["location"]
    assert console.site.sessions.find(token, now) is not None
    console.fill(page, f"/people/{person.id}", name="新名字", area=TOWN)
    assert console.site.sessions.find(token, now) is None
    token = console.site.sessions.begin(person.id, now)
    console.fill(console.get(f"/people/{person.id}"), f"/people/{person.id}", role=["director"])
    assert console.site.sessions.find(token, now) is None
    (row,) = console.site.audit.page(count=1)
    assert (row.action, row.detail) == ("account-change", "roles; roles director")
    found = console.site.accounts.by_id(person.id)
    assert found is not None
    assert (found.login, found.area, found.actor) == ("moved", TOWN, person.actor)


def test_somebody_is_let_in_again_signed_out_disabled_and_enabled(
    console: ConsoleUnderTest,
) -> None:
    """The four things that are asked of an administrator on the telephone."""
    person = console.add("centre", login="forgot")
    site, now = console.site, console.clock.now()
    factors = SecondFactors(console.store, "县", CHEAP)
    factors.confirm(person.id, code_at(factors.offer(person.id, now).secret, now), now)
    path = f"/people/{person.id}"
    token = site.sessions.begin(person.id, now)
    slip = console.fill(console.get(path), f"{path}/reset", factor="1")
    assert site.sessions.find(token, now) is None
    assert newest(console) == ("admin", "account-reset", "account:forgot")
    assert site.accounts.check_password("forgot", PASSWORD, now) is None
    found = site.accounts.check_password("forgot", drawn(slip), now)
    assert found is not None
    assert (found.must_change, found.has_second_factor) == (True, False)
    token = site.sessions.begin(person.id, now)
    console.fill(console.get(path), f"{path}/sign-out")
    assert site.sessions.find(token, now) is None
    token = site.sessions.begin(person.id, now)
    console.fill(console.get(path), f"{path}/disable")
    assert site.sessions.find(token, now) is None
    assert "已停用" in text_of(console.get(path).text)
    console.fill(console.get(path), f"{path}/enable")
    assert site.accounts.check_password("forgot", drawn(slip), now) is not None


def test_the_last_administrator_stays(console: ConsoleUnderTest) -> None:
    """Also against themselves, in a hurry."""
    person = console.person
    assert person is not None
    path = f"/people/{person.id}"
    page = console.get(path)
    assert "这是你自己的账号" in text_of(page.text)
    refused = console.fill(page, f"{path}/disable")
    assert refused.status_code == 400
    assert "最后一位账号管理员" in text_of(refused.text)
    refused = console.fill(page, path, role=["centre"])
    assert "最后一位账号管理员" in text_of(refused.text)
    assert console.get("/people").status_code == 200


def test_every_deed_on_an_account_asks_for_the_password_again_after_a_while(
    console: ConsoleUnderTest,
) -> None:
    """Ten minutes later somebody else may sit there."""
    person = console.add("centre", login="target")
    console.clock.seconds += limits.REAUTHENTICATED_SECONDS
    before = console.site.accounts.by_id(person.id)
    path = f"/people/{person.id}"
    for get in ("/people/new", path):
        assert console.get(get).headers["location"].startswith("/account/again"), get
    for post in (path, *(f"{path}/{deed}" for deed in ("reset", "disable", "enable", "sign-out"))):
        led = console.post(post, {"name": "x", "role": "admin"})
        assert led.headers["location"].startswith("/account/again"), post
    typed = {"draft_key": "person:new", "login": "kept", "name": "留着", "role": "centre"}
    led = console.post("/people/new", typed)
    assert console.site.accounts.by_id(person.id) == before
    assert console.site.accounts.by_login("kept") is None
    back = console.fill(
        console.get(led.headers["location"]), "/account/again", own_password=PASSWORD
    )
    page = console.get(back.headers["location"])
    assert 'value="kept"' in page.text  # what was typed is still there
    assert console.fill(page, "/people/new").status_code == 200
    assert console.site.accounts.by_login("kept") is not None
    assert 'value="kept"' not in console.get("/people/new").text


def test_what_people_are_called_runs_nowhere(console: ConsoleUnderTest) -> None:
    """A name is shown to administrators, who may do everything."""
    made = add(console, "evil", "department", name=EVIL, department=EVIL, actor=EVIL)
    person = console.site.accounts.by_login("evil")
    assert person is not None
    console.site.audit.write(console.clock.now(), EVIL, EVIL, EVIL, outcome=EVIL, detail=EVIL)
    pages = [made] + [
        console.get(path)
        for path in (
            "/people", f"/people/{person.id}", "/audit", f"/people?q={EVIL}", f"/audit?actor={EVIL}"
        )
    ]  # fmt: skip
    console.sign_in(login="evil")
    pages.append(console.get("/account/password"))
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;" in page.text


def test_accounts_and_the_trail_are_for_administrators_alone() -> None:
    """A page that says less is open to everybody who has an account."""
    for page in (*people_pages.PAGES, *audit_pages.PAGES):
        assert (page.needs, page.also) == (Permission.PEOPLE, None), page.name
    holders = {role for role in Role if Permission.PEOPLE in permissions((role,))}
    assert holders == {Role.ADMIN}


def test_a_village_offers_the_roles_of_a_village(served: ServedNetwork) -> None:
    """And no department, since it has none."""
    with ConsoleUnderTest(served, VILLAGE) as console:
        console.sign_in("admin")
        page = console.get("/people/new")
        offered = re.findall(r'name="role" value="(\w+)"', page.text)
        assert offered == ["worker", "village_clerk", "technician", "admin"]
        assert 'name="department"' not in page.text
        made = add(console, "wang", "worker", area=f"{VILLAGE}001")
        assert made.status_code == 200
        refused = add(console, "zhao", "centre")
        assert refused.status_code == 400


def test_the_trail_is_narrowed_by_who_what_and_when_and_turned_by_page(
    console: ConsoleUnderTest,
) -> None:
    """The question is always: what did this person do on that day?"""
    audit, day = console.site.audit, 86_400
    begin = console.clock.now()
    for number in range(60):
        audit.write(begin + number, "zhang", "call-view", f"call:{number:04x}")
    audit.write(begin + 3 * day, "wang", "call-view", "call:0001")
    page = console.get("/audit?actor=zhang")
    assert page.text.count("<tr>") - 1 == 50
    assert "查看呼叫" in page.text
    following = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert following is not None
    rest = console.get(following[1].replace("&amp;", "&"))
    assert rest.text.count("<tr>") - 1 == 10
    assert "call:0000" in rest.text
    only = console.get("/audit?object=call:0001")
    assert only.text.count("<tr>") - 1 == 2
    later = console.site.node
    assert later is not None
    from huying.node.web.render import local_time

    date = local_time(int((begin + 3 * day) * 1e6), 480).strftime("%Y-%m-%d")
    dated = console.get(f"/audit?object=call:&from={date}&to={date}")
    assert dated.text.count("<tr>") - 1 == 1
    assert "wang" in dated.text
    for odd in ("before=x", "before=-1", "from=yesterday", "to=9999-12-31", "before=" + "9" * 50):
        assert console.get(f"/audit?{odd}").status_code == 200, odd


def test_the_trail_is_verified_on_demand_and_says_where_it_breaks(
    console: ConsoleUnderTest,
) -> None:
    """The page must not say that all is well because nobody looked."""
    sound = console.fill(console.get("/audit"), "/audit/verify")
    assert "完整:第 1 至" in text_of(sound.text)
    check = console.site.audit.verify()
    assert newest(console) == ("admin", "audit-verify", "")
    console.site.audit.write(console.clock.now(), "zhang", "look")
    tamper(console.store, f"UPDATE audit SET actor = 'li' WHERE number = {check.last - 3}")
    broken = console.fill(console.get("/audit"), "/audit/verify")
    assert f"已断:第 {check.last - 3} 行起" in text_of(broken.text)
    assert console.site.audit.page(action="audit-verify", count=1)[0].outcome == "failed"


def refusals() -> Iterator[HuyingError]:
    """What a form of an account may be refused for."""
    deeds = [
        lambda: parse_login("x"),
        lambda: check_person("", "a", (Role.CLERK,), "", "zh"),
        lambda: check_person("n", "", (Role.CLERK,), "", "zh"),
        lambda: check_person("n\n", "a", (Role.CLERK,), "", "zh"),
        lambda: check_person("n", "a", (), "", "zh"),
        lambda: check_person("n", "a", (Role.DEPARTMENT,), "", "zh"),
        lambda: check_person("n", "a", (Role.CLERK,), "", "fr"),
        lambda: check_area("1", COUNTY),
        lambda: check_area("371000000000", COUNTY),
        lambda: check_area("370830108000001", COUNTY),
        lambda: check_password_choice("short"),
        lambda: check_password_choice("passwordpassword"),
    ]
    for deed in deeds:
        with pytest.raises(HuyingError) as caught:
            deed()
        yield caught.value


def test_every_refusal_of_an_account_s_form_has_its_chinese(console: ConsoleUnderTest) -> None:
    """A village clerk reads what to mend, and no English in brackets."""
    for error in refusals():
        assert not re.search(r"[a-zA-Z]{3}", plain(error, "zh")), error.detail
        assert plain(error, "en") == error.detail
    unknown = HuyingError(Code.DISK_FULL, "console.db")
    assert plain(unknown, "zh") == "磁盘已满,请清理空间(console.db)"


def test_every_action_of_the_trail_has_its_words() -> None:
    """The trail is read by people, who do not know what `provision-look` is."""
    folders = (ROOT / "node/huying/node/web", ROOT / "hub/huying/hub/web")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    sources = [path.read_text("utf-8") for path in (*files, ROOT / "node/huying/node/cli/user.py")]
    literal = re.compile(
        r"(?:\.audit|_deed|\b_note|\bnote_view|\.note)\(\s*(?:ask, )?\"([a-z-]+)\""
    )
    written = {one for text in sources for one in literal.findall(text)}
    assert {"call-view", "account-reset", "account-disable"} <= written
    assert written - set(ACTIONS) == set()
    for zh, en in ACTIONS.values():
        assert re.search(r"[\u4e00-\u9fff]", zh)
        assert en.isascii()
