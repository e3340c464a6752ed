"""Whose calls a person finds in the queue and in the lists, and the views that are theirs alone.

A department sees its own calls and those it helps with, a grid worker those of an area; whatever a
query says, each row is looked at, since one row too many tells a neighbour's trouble.
"""

from __future__ import annotations

import re

import pytest

from tests.support.console_site import text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.call_console import HELPER, LEAD, SECOND
from tests.unit.console.queue_desk import QueueDesk
from tests.unit.console.queue_pages import HOSTILE, OTHER_TOWN, centre, counts, department, titles


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
