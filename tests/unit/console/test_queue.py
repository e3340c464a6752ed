"""The answer desk's queue and the lists of calls: order, filters, search, what is new."""

from __future__ import annotations

import re
from typing import Any

import pytest

from huying.common import limits
from huying.node.store import desk_queries
from tests.support.console_site import forms_of, text_of
from tests.support.tiny_network import TOWN
from tests.unit.console.call_console import LEAD, SECOND
from tests.unit.console.queue_desk import DAY, QueueDesk
from tests.unit.console.queue_pages import HOSTILE, OTHER_TOWN, centre, counts, department, titles


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
