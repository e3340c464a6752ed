"""The answer desk's queue and the lists of calls: order, filters, scope, search, saved views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from huying.common import limits
from huying.node.store import desk_queries
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.call_console import HELPER, LEAD, SECOND
from tests.unit.console.queue_desk import DAY, QueueDesk, dispatch, queue_desk

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
OTHER_TOWN = "370830101000"
# Monday, 2026-10-19, 10:00 in Beijing.
MONDAY = 1_792_375_200.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueDesk]:
    with queue_desk(tmp_path_factory.mktemp("network")) as found:
        found.served.network.clock.seconds = MONDAY
        yield found


@pytest.fixture(scope="module")
def calls(desk: QueueDesk) -> dict[str, str]:
    """One call for each clock; the titles are the keys."""
    handled = {"accept": {"department": LEAD}}
    made = {
        "late": desk.raise_call(
            "late", dispatch(LEAD, urgency=3), handled, description="the oldest of all"
        ),
    }
    desk.pass_time(3 * DAY)
    made |= {
        "soon": desk.raise_call("soon", dispatch(LEAD, urgency=3), handled, category="供水"),
        "later": desk.raise_call("later", dispatch(LEAD, HELPER), handled),
        "paused": desk.raise_call(
            "paused",
            *(dispatch(LEAD), handled),
            {"supplement_request": {"department": LEAD, "text": "在哪里"}},
        ),
        "answered": desk.raise_call(
            "answered",
            *(dispatch(LEAD), handled, {"answer": {"department": LEAD, "text": "修好"}}),
        ),
        "extension": desk.raise_call(
            "extension",
            *(dispatch(SECOND), {"accept": {"department": SECOND}}),
            {"extension_request": {"department": SECOND, "reason": "等配件"}},
        ),
        "admitted": desk.raise_call("admitted", {"admit": {}}, village=""),
        "received": desk.raise_call(HOSTILE, description="井盖丢失 xyzzy"),
    }
    desk.step(made["soon"], supervise={"supervision_level": 2, "reason": "挂牌"})
    return made


def titles(page: Any) -> list[str]:
    """The titles of the rows, in their order."""
    assert page.status_code == 200, text_of(page.text)[:400]
    found = re.findall(r'id="to-[0-9a-f]{32}">([^<]*)</a>', page.text)
    return [title if "script" not in title else "hostile" for title in found]


def centre(desk: QueueDesk) -> ConsoleUnderTest:
    return desk.consoles.as_centre()


def department(desk: QueueDesk, name: str = LEAD) -> ConsoleUnderTest:
    return desk.consoles.as_department(name)


def counts(page: Any) -> dict[str, int]:
    tiles = re.findall(
        r'<span class="figure">([\d,]+)</span> <span class="label">([^<]+)<', page.text
    )
    return {label: int(number) for number, label in tiles}


# --- order and groups -------------------------------------------------------------------------


@pytest.mark.usefixtures("calls")
def test_the_clock_that_matters_comes_first(desk: QueueDesk) -> None:
    """Overdue before today before later; then what is paused, with the caller, without a clock."""
    page = centre(desk).get("/queue")
    order = titles(page)
    assert order[0] == "late"
    ours = order[: order.index("paused")]
    assert set(ours) == {"late", "soon", "later", "extension", "hostile"}
    assert ours.index("soon") < ours.index("later")
    assert order[order.index("paused") :] == ["paused", "answered", "admitted"]
    heads = re.findall(r'scope="rowgroup">([^<]+?) *<', page.text)
    assert heads[0] == "已超期"
    assert heads[-3:] == ["计时暂停", "等回访", "无时限"]


@pytest.mark.usefixtures("calls")
def test_the_tiles_count_what_they_filter(desk: QueueDesk) -> None:
    """A number that its own list contradicts is worse than none."""
    site = centre(desk)
    page = site.get("/queue")
    found = counts(page)
    assert found["未办结"] == 8 == len(titles(page))
    assert sum(found.values()) == 2 * found["未办结"]
    for key, label in (("overdue", "已超期"), ("paused", "计时暂停"), ("caller", "等回访")):
        assert len(titles(site.get(f"/queue?group={key}"))) == found[label], key
    groups = ("overdue", "today", "week", "later", "paused", "caller", "none")
    each = [titles(site.get(f"/queue?group={key}")) for key in groups]
    assert sorted(title for some in each for title in some) == sorted(titles(page))


def test_pages_follow_one_another_without_gap_or_repeat(
    desk: QueueDesk, calls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place goes along in the address, so that back works, and new calls shift nothing."""
    monkeypatch.setattr("huying.hub.web.queue_pages.ROWS_OF_PAGE", 3)
    monkeypatch.setattr("huying.node.web.calls.call_list_pages.ROWS_OF_PAGE", 3)
    site = centre(desk)
    for path, count in (("/queue", 8), ("/calls", 8), ("/calls?order=oldest", 8)):
        seen: list[str] = []
        here = path
        while here:
            page = site.get(here)
            assert len(titles(page)) <= 3
            seen += titles(page)
            more = re.search(r'rel="next" href="([^"]+)"', page.text)
            here = more.group(1).replace("&amp;", "&") if more else ""
        assert len(seen) == len(set(seen)) == count == len(calls), path
    for token in ("x", "n.1.2.3.4", "l.0.zz.1.00", f"n.0.5.{TOWN}.{'f' * 99}"):
        assert site.get(f"/calls?after={token}").status_code == 400, token


# --- filters ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("stage=received", {"hostile"}),
        ("stage=answered", {"answered"}),
        ("category=供水", {"soon"}),
        (f"department={SECOND}", {"extension"}),
        (f"town={OTHER_TOWN}", set()),
        ("mark=urgent", {"late", "soon"}),
        ("mark=supervised", {"soon"}),
        ("mark=supplement", {"paused"}),
        ("mark=extension", {"extension"}),
        ("mark=card", set()),
        (f"department={LEAD}&mark=urgent&category=供水", {"soon"}),
        ("q=xyzzy", {"hostile"}),
        ("q=井盖 XYZZY", {"hostile"}),
        ("q=no-such-word", set()),
    ],
)
def test_a_filter_narrows_the_queue(desk: QueueDesk, query: str, expected: set[str]) -> None:
    """Each alone, and together."""
    assert set(titles(centre(desk).get(f"/queue?{query}"))) == expected


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("from=2026-10-19&to=2026-10-19", {"late"}),
        ("from=2026-10-21&stage=handling&category=供水", {"soon"}),
        ("to=2026-10-18", set()),
        (f"town={TOWN}&stage=admitted", {"admitted"}),
        ("show=all&stage=closed", set()),
        ("q=xyzzy&show=all", {"hostile"}),
    ],
)
def test_a_filter_narrows_the_list(desk: QueueDesk, query: str, expected: set[str]) -> None:
    """Days are those of the county's clock."""
    assert set(titles(centre(desk).get(f"/calls?{query}"))) == expected


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/calls?stage=nowhere", "环节"),
        ("/calls?from=2026-13-40", "起始日期"),
        ("/calls?to=yesterday", "截止日期"),
        ("/calls?town=12", "乡镇"),
        ("/calls?order=random", "newest、oldest"),
        ("/calls?show=none", "范围"),
        ("/queue?group=x", "分组"),
        ("/queue?mark=x", "标记"),
        (f"/queue?after=0.l.0.0.{TOWN}.00", "列表位置"),
    ],
)
def test_an_address_that_says_nothing_is_refused_by_name(
    desk: QueueDesk, path: str, field: str
) -> None:
    """An address is typed, shortened, and kept in bookmarks of older versions."""
    page = centre(desk).get(path)
    assert page.status_code == 400
    assert field in text_of(page.text)


@pytest.mark.usefixtures("calls")
def test_a_title_is_text_wherever_it_stands(desk: QueueDesk) -> None:
    """What a town types must not run at the county's desk, or on its wall."""
    site = centre(desk)
    for path in ("/queue", "/calls", "/centre", f"/queue?q={HOSTILE}", "/calls?q=xyzzy"):
        page = site.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img" not in page.text.replace('<img src="/static', "")
        assert "&lt;script&gt;alert(1)" in page.text, path
        assert "{{7*7}}" in page.text


# --- search -----------------------------------------------------------------------------------


def test_a_call_is_found_by_the_beginning_of_its_id(desk: QueueDesk, calls: dict[str, str]) -> None:
    """What a row shows is said on the phone; capitals count as small letters."""
    assert calls["paused"][:12] in centre(desk).get("/queue").text
    for digits in (12, 13, 32):
        found = titles(centre(desk).get(f"/calls?q={calls['paused'][:digits].upper()}&show=all"))
        assert found == ["paused"], digits
    page = department(desk, SECOND).get(f"/calls?q={calls['paused'][:12]}&show=all")
    assert titles(page) == []  # another department's


def test_a_search_tells_how_far_it_looked_and_goes_on(
    desk: QueueDesk, calls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing found in a part must not read as nothing there."""
    monkeypatch.setattr(desk_queries, "CALL_SCAN_ROWS_MAX", 3)
    monkeypatch.setattr(desk_queries, "CALL_SCAN_SECONDS_MAX", 60.0)
    monkeypatch.setattr(desk_queries, "_CHUNK", 2)
    site = centre(desk)
    page = site.get("/calls?q=oldest")
    assert titles(page) == []
    text = text_of(page.text)
    assert "查了 4 件的标题和正文" in text
    assert "没有符合条件" not in text
    for _ in range(3):
        more = re.search(r'<a href="([^"]+)" rel="next">', page.text)
        if more is None:
            break
        page = site.get(more.group(1).replace("&amp;", "&"))
        if titles(page):
            break
    assert titles(page) == ["late"]
    assert len(calls) == 8
    monkeypatch.undo()
    assert "已查完:共 8 件" in text_of(site.get("/calls?q=oldest&show=all").text)


def test_a_search_ends_by_time_too(
    desk: QueueDesk, calls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk a bound by rows alone would hold everybody up."""
    monkeypatch.setattr(desk_queries, "CALL_SCAN_SECONDS_MAX", 0.0)
    monkeypatch.setattr(desk_queries, "_CHUNK", 2)
    assert calls
    assert "查了 2 件" in text_of(centre(desk).get("/calls?q=late").text)


# --- scope ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("calls")
def test_a_department_has_its_own_calls_and_those_it_helps_with(desk: QueueDesk) -> None:
    """Whatever the address asks for."""
    site = department(desk)
    led = {"late", "soon", "later", "paused", "answered"}
    for path in ("/queue", "/calls", f"/queue?department={SECOND}", f"/calls?department={SECOND}"):
        assert set(titles(site.get(path))) == led, path
    assert titles(site.get("/queue?tab=help")) == []
    site = department(desk, HELPER)
    assert titles(site.get("/queue")) == []
    assert titles(site.get("/queue?tab=help")) == ["later"]
    assert titles(site.get("/calls?tab=help")) == ["later"]
    assert "我部门协办 1" in text_of(site.get("/queue").text)
    assert counts(site.get("/queue?tab=help"))["未办结"] == 1
    site = department(desk, "务")  # no part of a name is that name
    assert titles(site.get("/queue?tab=help")) == titles(site.get("/queue")) == []


@pytest.mark.usefixtures("calls")
def test_who_is_bound_to_an_area_sees_no_call_beyond_it(desk: QueueDesk) -> None:
    """In lists, in numbers, in worklists, in a search, and by id."""
    site = desk.consoles.county
    of_village = {"late", "soon", "later", "paused", "answered", "extension", "hostile"}
    for login, area, expected in (
        ("all", COUNTY, {*of_village, "admitted"}),
        ("of-town", TOWN, {*of_village, "admitted"}),
        ("of-village", VILLAGE, of_village),
        ("of-other", OTHER_TOWN, set()),
        ("of-grid", f"{VILLAGE}009", set()),
    ):
        site.sign_in("centre", login=login, area=area)
        assert set(titles(site.get("/queue"))) == expected, area
        assert set(titles(site.get("/calls"))) == expected, area
        assert counts(site.get("/queue"))["未办结"] == len(expected), area
        found = titles(site.get("/queue?q=xyzzy"))
        assert found == (["hostile"] if "hostile" in expected else [])
        worklists = counts(site.get("/centre"))
        assert worklists["待派单"] == ("admitted" in expected), area
        assert worklists["延期待审批"] == ("extension" in expected), area
        # The wall shows the whole node.
        assert site.get("/wall").status_code == (200 if area == COUNTY else 404)


def test_each_row_is_looked_at_whatever_the_query_said(
    desk: QueueDesk, calls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query narrows for speed; that nobody sees too much does not hang on it."""
    monkeypatch.setattr("huying.node.store.desk_filter._within", lambda area, leads: [])
    site = desk.consoles.county
    site.sign_in("centre", login="of-other", area=OTHER_TOWN)
    assert titles(site.get("/queue")) == titles(site.get("/calls")) == []
    assert titles(site.get("/calls?q=xyzzy")) == []
    assert titles(site.get(f"/calls?q={calls['paused'][:12]}")) == []


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("centre", {"/queue", "/calls", "/centre", "/wall"}),
        ("department", {"/queue", "/calls"}),
        ("director", {"/calls", "/wall"}),
        ("technician", set()),
    ],
)
def test_a_role_has_its_pages_and_no_other(desk: QueueDesk, role: str, allowed: set[str]) -> None:
    """The menu is no protection."""
    site = desk.consoles.county
    site.sign_in(role, login=f"role-{role}", department=LEAD if role == "department" else "")
    for path in ("/queue", "/calls", "/centre", "/wall"):
        assert site.get(path).status_code == (200 if path in allowed else 403), path
    if role != "centre":
        for path in ("/queue/urge", "/centre/admit"):
            assert site.post(path, {"call": "0" * 32}).status_code == 403


def test_the_town_and_the_village_list_their_calls_and_have_no_desk(
    desk: QueueDesk, calls: dict[str, str]
) -> None:
    """The list is at every tier; what is beyond the county's desk is not."""
    site = desk.consoles.as_clerk()
    assert len(titles(site.get("/calls"))) == len(calls)
    assert site.get("/queue").status_code == site.get("/wall").status_code == 403
    village = desk.consoles.village
    village.sign_in("village_clerk")
    assert set(titles(village.get("/calls"))) == {*calls, "hostile"} - {"received"}
    village.sign_in("worker", login="other-grid", area=f"{VILLAGE}009")
    assert titles(village.get("/calls")) == []


# --- saved views ------------------------------------------------------------------------------


@pytest.mark.usefixtures("calls")
def test_a_view_is_saved_picked_opened_first_and_removed(desk: QueueDesk) -> None:
    """The morning's first look is one that a person chose once."""
    site = department(desk)
    page = site.get("/queue?category=供水&mark=urgent")
    saved = site.fill(page, "/queue/views", name="我的供水")
    assert saved.status_code == 303
    view = re.search(r"view=([0-9a-f]+)", saved.headers["location"])
    assert view is not None
    page = site.get(f"/queue?view={view.group(1)}")
    assert titles(page) == ["soon"]
    assert "我的供水" in text_of(page.text)
    assert titles(site.get("/queue")) != ["soon"]
    site.post("/queue/views", {"what": "first", "view": view.group(1)})
    assert titles(site.get("/queue")) == ["soon"]
    assert len(titles(site.get("/queue?group=all"))) == 5
    site.post("/queue/views", {"what": "unset"})
    assert len(titles(site.get("/queue"))) == 5
    site.post("/queue/views", {"what": "first", "view": view.group(1)})
    site.post("/queue/views", {"what": "drop", "view": view.group(1)})
    assert len(titles(site.get("/queue"))) == 5
    assert site.get(f"/queue?view={view.group(1)}").status_code == 404


def test_a_view_is_its_persons_alone(desk: QueueDesk) -> None:
    """An id that was seen over a shoulder opens nothing and removes nothing."""
    site = centre(desk)
    saved = site.post("/queue/views", {"what": "save", "name": "甲的", "query": "stage=received"})
    view = saved.headers["location"].split("view=")[1].split("&")[0]
    site.sign_in("centre", login="another")
    own = {"what": "save", "name": "乙的", "query": "stage=admitted"}
    assert site.post("/queue/views", own).status_code == 303
    assert site.get(f"/queue?view={view}").status_code == 404
    for what in ("drop", "first"):
        assert site.post("/queue/views", {"what": what, "view": view}).status_code == 404
    centre(desk)
    assert site.get(f"/queue?view={view}").status_code == 200


def test_a_view_keeps_a_filter_and_nothing_else(desk: QueueDesk) -> None:
    """It is put into addresses again, so what is no part of a filter is dropped."""
    site = centre(desk)
    name = HOSTILE[:39].strip()
    odd = {"what": "save", "name": name, "query": "stage=received&after=x&view=1&x=<b>"}
    saved = site.post("/queue/views", odd)
    page = site.get(saved.headers["location"])
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert site.person is not None
    views = site.site.views.list(site.person.id, "queue")
    assert [view.query for view in views if view.name == name] == ["stage=received"]
    assert site.post("/queue/views", {"what": "save", "name": ""}).status_code == 400
    assert site.post("/queue/views", {"what": "all"}).status_code in (400, 404)


# --- new since the last look ------------------------------------------------------------------


def test_what_came_since_the_last_look_is_marked(desk: QueueDesk, calls: dict[str, str]) -> None:
    """A look lasts while somebody goes to a call and back; what a script loads is none."""
    assert calls
    site = desk.consoles.county
    person = site.sign_in("centre", login="looker")
    name = f"huying-look-{person.id[:8]}"

    def look(**headers: str) -> Any:
        page = site.get("/queue?group=all", headers=headers)
        site._client.cookies.set(name, page.cookies[name])
        return page

    def is_new(page: Any) -> bool:
        return '<span class="badge act">新</span>' in page.text

    assert not is_new(look())  # the first time all would be
    desk.pass_time(1200)
    fresh = desk.raise_call("fresh one")
    assert is_new(look(**{"X-Live": "1"}))
    assert is_new(look())
    desk.pass_time(60)
    assert is_new(look())  # back from the call
    desk.pass_time(1200)
    assert not is_new(look())
    for cookie in ("x", "9-", "-9", f"{'9' * 30}-1"):
        site._client.cookies.set(name, cookie)
        assert site.get("/queue").status_code == 200
    desk.step(fresh, decline={"reason": 3, "text": "重复"})


def test_a_call_with_something_unsent_says_so_to_who_wrote_it(
    desk: QueueDesk, calls: dict[str, str]
) -> None:
    """Of thirty calls, the half-written answer is the one that somebody believes to be sent."""
    site = desk.consoles.as_centre()
    key = f"call:{calls['admitted']}:note"
    site.post("/drafts", {"draft_key": key, "draft_page": "/", "text": "写到一半"})
    for path in ("/queue?group=all", "/calls"):
        rows = site.get(path).text.split("<tr ")
        assert [calls["admitted"] in row for row in rows if "有草稿" in row] == [True]
    assert "有草稿" not in desk.consoles.as_department().get("/queue?group=all").text


def test_a_clock_that_stands_still_tells_what_it_will_have_left(
    desk: QueueDesk, calls: dict[str, str]
) -> None:
    """Not when it was due: that passes while nobody is late; and what is left is what there is."""
    (clock,) = [one for one in desk.view(calls["paused"]).clocks if one.remaining_micros]
    hours, minutes = divmod(clock.remaining_micros // 60_000_000, 60)
    left = " ".join(filter(None, (f"{hours} 小时" * bool(hours), f"{minutes} 分" * bool(minutes))))
    assert left
    for path in ("/queue?group=paused", "/calls?stage=handling", "/centre"):
        text = text_of(centre(desk).get(path).text)
        assert text.count("已暂停") == 1, path
        assert f"余 {left} · 已暂停" in text, path
    desk.pass_time(30 * DAY)
    try:
        assert f"余 {left} · 已暂停" in text_of(centre(desk).get("/queue?group=paused").text)
    finally:
        desk.pass_time(-30 * DAY)


# --- fallbacks --------------------------------------------------------------------------------


@pytest.mark.usefixtures("calls")
def test_each_form_has_a_label_for_every_field(desk: QueueDesk) -> None:
    """Whoever can't see the page fills it in by the labels."""
    site = centre(desk)
    for path in ("/queue", "/calls"):
        page = site.get(path).text
        ids = set(re.findall(r'<(?:input|select|textarea)[^>]*\bid="(f-[^"]+)"', page))
        labelled = set(re.findall(r'<label for="(f-[^"]+)"', page))
        assert ids
        assert ids == labelled & ids
        assert all(form.action for form in forms_of(page))


def test_the_bound_of_a_search_is_documented() -> None:
    """3,000 calls or an eighth of a second: a page with it still answers within 200 ms."""
    assert limits.CALL_SCAN_ROWS_MAX == 3000
    assert limits.CALL_SCAN_SECONDS_MAX < 0.15
